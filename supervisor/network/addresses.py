"""Which subnet a network gets, and which address an endpoint: decisions from values, nothing else. Pure.

The store holds what is taken; a lease is a row, so two can never have one address, whatever is decided here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import chain
from typing import NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

IPV4: int = 4
IPV6: int = 6
_SMALLEST = {IPV4: 30, IPV6: 126}
"""The longest prefix that has room for a gateway and one container."""


class Pool(NamedTuple):
    """Where subnets are taken from: ``size`` is the prefix length of each."""

    base: Network
    size: int


def parse_pools(text: str) -> tuple[Pool, ...]:
    """``172.20.0.0/14,16 192.168.0.0/16,20``: base and prefix length of each. Raises ValueError."""
    pools = []
    for word in text.split():
        base_text, comma, size = word.partition(",")
        base = ipaddress.ip_network(base_text)
        length = int(size) if comma else base.prefixlen
        if not base.prefixlen <= length <= _SMALLEST[base.version]:
            raise ValueError(f"{word}: no subnets of /{length} can be taken from {base}")
        pools.append(Pool(base, length))
    if not pools:
        raise ValueError("no address pool is given")
    return tuple(pools)


def choose_subnet(pools: Iterable[Pool], taken: Iterable[Network]) -> Network | None:
    """The first subnet of the pools that overlaps nothing taken (other networks, the host's routes)."""
    occupied = [network for network in taken if network.prefixlen > 0]
    for pool in pools:
        for subnet in _subnets(pool, occupied):
            return subnet
    return None


def _subnets(pool: Pool, occupied: list[Network]) -> Iterator[Network]:
    """The free ones, going past what is taken instead of trying each subnet inside it."""
    size = 1 << (pool.base.max_prefixlen - pool.size)
    at, end = int(pool.base.network_address), int(pool.base.broadcast_address)
    while at <= end:
        subnet = network_of(at, pool.size, pool.base.version)
        overlapping = [other for other in occupied if overlaps(subnet, other)]
        if not overlapping:
            yield subnet
            return
        past = max(int(other.broadcast_address) for other in overlapping) + 1
        at = -(-past // size) * size


def network_of(first: int, length: int, version: int) -> Network:
    """The network that begins at an address given as a number."""
    return IPv4Network((first, length)) if version == IPV4 else IPv6Network((first, length))


def overlaps(one: Network, other: Network) -> bool:
    """Whether an address is in both; networks of different versions never overlap."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def local_subnet6(network_id: str) -> IPv6Network:
    """A unique local /64 for a network that wants IPv6 and says no more (RFC 4193: fd and 40 random bits)."""
    import hashlib  # noqa: PLC0415 - the keeper has this module, too: libcrypto is 0.6 MB more for it

    digest = hashlib.sha256(network_id.encode()).digest()
    return IPv6Network((int.from_bytes(b"\xfd" + digest[:7] + bytes(8)), 64))


def gateway_of(subnet: Network, ip_range: Network | None = None) -> Address:
    """The first address of the range, or of the subnet: docker's choice."""
    inside = ip_range or subnet
    first = inside.network_address
    return first + 1 if first == subnet.network_address else first


def candidates(subnet: Network, ip_range: Network | None, after: Address | None) -> Iterator[Address]:
    """Every usable address, once, beginning behind the one given last: an address comes back as late as it can.

    A late packet, or a neighbour's cache, that knows an address is then no danger to its next owner.
    """
    inside = ip_range or subnet
    low = max(int(inside.network_address), int(subnet.network_address) + 1)
    high = int(inside.broadcast_address)
    if subnet.version == IPV4:
        high = min(high, int(subnet.broadcast_address) - 1)
    start = int(after) + 1 if after is not None and low <= int(after) < high else low
    make = type(subnet.network_address)
    for number in chain(range(start, high + 1), range(low, start)):
        yield make(number)


def first_free(found: Iterator[Address], is_taken: Callable[[Address], bool]) -> Address | None:
    """The first that nobody has; None: all are taken."""
    return next((address for address in found if not is_taken(address)), None)


def mac_of(seed: bytes) -> str:
    """A locally administered unicast address (IEEE 802) from 5 bytes or more."""
    return ":".join(f"{byte:02x}" for byte in b"\x02" + seed[:5])


def check_subnet(subnet: Network, ip_range: Network | None, special: Iterable[Address]) -> str:
    """What is wrong with a subnet as asked for; empty: nothing. ``special``: gateway and reserved addresses."""
    if subnet.prefixlen > _SMALLEST[subnet.version]:
        return f"the subnet {subnet} is too small"
    if subnet.is_multicast or subnet.is_loopback or subnet.is_unspecified:
        return f"the subnet {subnet} is not for hosts"
    if ip_range is not None and not _within(ip_range, subnet):
        return f"the range {ip_range} is not within the subnet {subnet}"
    for address in special:
        if address.version != subnet.version or address not in subnet:
            return f"the address {address} is not within the subnet {subnet}"
        if address == subnet.network_address:
            return f"the address {address} is the subnet's own"
    return ""


def _within(inner: Network, outer: Network) -> bool:
    return (
        inner.version == outer.version
        and inner.network_address in outer
        and inner.prefixlen >= outer.prefixlen
    )
