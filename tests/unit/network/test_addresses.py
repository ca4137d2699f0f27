"""Subnets never overlap what is taken; every address of a subnet is given once, the last one given comes last."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.network.addresses import (
    candidates,
    check_subnet,
    choose_subnet,
    first_free,
    gateway_of,
    local_subnet6,
    mac_of,
    overlaps,
    parse_pools,
)

POOLS = parse_pools("172.20.0.0/14,16 192.168.0.0/22,24")


def some_network(numbers: tuple[int, int]) -> IPv4Network:
    """A network near the pools."""
    number, length = numbers
    return ip_network((int(ip_address("172.16.0.0")) + number, length), strict=False)


NETWORKS = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(8, 32)).map(some_network), max_size=12)


@given(NETWORKS)
def test_a_chosen_subnet_overlaps_nothing_and_comes_from_a_pool(taken: list[IPv4Network]) -> None:
    chosen = choose_subnet(POOLS, taken)
    every = [subnet for pool in POOLS for subnet in pool.base.subnets(new_prefix=pool.size)]
    free = [subnet for subnet in every if not any(overlaps(subnet, other) for other in taken)]
    assert chosen == (free[0] if free else None)


def test_a_default_route_takes_nothing_away() -> None:
    assert str(choose_subnet(POOLS, [ip_network("0.0.0.0/0")])) == "172.20.0.0/16"


@given(st.integers(26, 30), st.integers(0, 63), st.integers(26, 31))
def test_candidates_are_each_usable_address_once(length: int, last: int, inner: int) -> None:
    subnet = ip_network(f"10.1.2.0/{length}")
    ip_range = ip_network(f"10.1.2.0/{max(inner, length)}")
    after = ip_address("10.1.2.0") + last
    found = list(candidates(subnet, ip_range, after))
    usable = [host for host in subnet.hosts() if host in ip_range]
    assert sorted(found) == usable
    if after in usable:
        assert found[-1] == after


def test_the_first_free_address_of_a_huge_subnet_is_found_at_once() -> None:
    subnet = ip_network("fd00::/64")
    taken = {gateway_of(subnet)}
    assert str(first_free(candidates(subnet, None, None), taken.__contains__)) == "fd00::2"
    assert first_free(iter([gateway_of(subnet)]), taken.__contains__) is None


def test_a_gateway_is_the_first_address_of_the_range() -> None:
    assert str(gateway_of(ip_network("10.0.0.0/24"))) == "10.0.0.1"
    assert str(gateway_of(ip_network("10.0.0.0/24"), ip_network("10.0.0.128/25"))) == "10.0.0.128"


def test_a_local_ipv6_subnet_is_its_networks_own() -> None:
    one, other = local_subnet6("a"), local_subnet6("b")
    assert one != other and one.prefixlen == 64
    assert one.subnet_of(ipaddress.IPv6Network("fd00::/8"))
    assert local_subnet6("a") == one


def test_a_mac_address_is_local_and_unicast() -> None:
    first = int(mac_of(b"\xff" * 5).partition(":")[0], 16)
    assert first & 2 and not first & 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no address pool"),
        ("10.0.0.0/8,4", "no subnets of /4"),
        ("10.0.0.0/8,31", "no subnets of /31"),
        ("10.0.0.1/8", "host bits set"),
        ("x", "does not appear to be"),
        ("10.0.0.0/16,x", "invalid literal"),
    ],
)
def test_pools_that_make_no_sense_are_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_pools(text)


@pytest.mark.parametrize(
    ("subnet", "ip_range", "special", "wrong"),
    [
        ("10.0.0.0/24", None, ["10.0.0.1"], ""),
        ("10.0.0.0/31", None, [], "too small"),
        ("127.0.0.0/8", None, [], "not for hosts"),
        ("10.0.0.0/24", "10.0.1.0/25", [], "not within"),
        ("10.0.0.0/24", None, ["10.0.1.1"], "not within"),
        ("10.0.0.0/24", None, ["10.0.0.0"], "the subnet's own"),
        ("10.0.0.0/24", "fd00::/65", [], "not within"),
    ],
)
def test_subnets_are_checked(subnet: str, ip_range: str | None, special: list[str], wrong: str) -> None:
    inner = None if ip_range is None else ip_network(ip_range)
    found = check_subnet(ip_network(subnet), inner, [ip_address(one) for one in special])
    assert wrong in found if wrong else found == ""
