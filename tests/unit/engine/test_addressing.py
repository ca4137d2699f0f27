"""Addresses are given once, kept as promised, and come back: the decisions on rows of a real database."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from sqlite3 import Connection

import pytest
from helpers.network_rows import add_container, add_network, endpoint_of, full
from hypothesis import given, settings
from hypothesis import strategies as st

from pysup.store import containers, endpoints, networks
from pysup.store.database import open_or_create
from pysup.store.networks import Subnet
from pysup.supervisor.engine.networks.addressing import give_addresses
from pysup.supervisor.errors import BadRequest, Conflict


@contextmanager
def small_network(prefix: int = 29) -> Iterator[Connection]:
    """A store with a network of five free addresses: 10.9.0.2 to 10.9.0.6."""
    with tempfile.TemporaryDirectory() as directory:
        conn = open_or_create(str(Path(directory) / "pysup.db"))
        add_network(conn, "aa", "net", f"10.9.0.0/{prefix}", "10.9.0.1")
        try:
            yield conn
        finally:
            conn.close()


def connect(conn: Connection, container: str, *asked: str, state: str = "running") -> list[str]:
    add_container(conn, container, state)
    endpoint = endpoint_of(container, "aa")
    endpoints.insert(conn, endpoint)
    return [lease.address for lease in give_addresses(conn, endpoint, map(ip_address, asked))]


def test_an_address_comes_back_as_late_as_it_can() -> None:
    with small_network() as conn:
        assert connect(conn, "c1") == ["10.9.0.2"]
        containers.delete(conn, full("c1"))
        assert connect(conn, "c2") == ["10.9.0.3"]


def test_a_container_at_rest_keeps_its_address_until_nothing_else_is_free() -> None:
    with small_network() as conn:
        assert connect(conn, "c1", state="exited") == ["10.9.0.2"]
        assert connect(conn, "c2", "10.9.0.3", state="exited") == ["10.9.0.3"]
        assert [connect(conn, f"c{number}") for number in (3, 4, 5)] == [
            ["10.9.0.4"],
            ["10.9.0.5"],
            ["10.9.0.6"],
        ]
        assert connect(conn, "c6") == ["10.9.0.2"]
        with pytest.raises(Conflict, match=r"all of 10\.9\.0\.0/29 are taken"):
            connect(conn, "c7")
        with pytest.raises(
            Conflict, match=r"cannot use --ip 10\.9\.0\.3: Address already in use: container c2"
        ):
            connect(conn, "c8", "10.9.0.3")


@pytest.mark.parametrize("address", ["10.9.0.0", "10.9.0.1", "10.9.0.7"])
def test_addresses_that_are_the_networks_own_are_not_given(address: str) -> None:
    with small_network() as conn, pytest.raises(Conflict, match="Address already in use: it is the gateway"):
        connect(conn, "c1", address)


def test_an_address_outside_is_refused() -> None:
    with (
        small_network() as conn,
        pytest.raises(BadRequest, match=r"cannot use --ip 10\.9\.1\.1: it is in no subnet"),
    ):
        connect(conn, "c1", "10.9.1.1")


def test_there_is_one_address_for_each_ip_version_and_it_is_kept() -> None:
    with small_network() as conn:
        networks.add_subnet(conn, Subnet(full("aa"), "fd09::/64", "", "fd09::1", {"switch": "fd09::2"}, ""))
        assert connect(conn, "c1", "10.9.0.5") == ["10.9.0.5", "fd09::3"]
        again = give_addresses(conn, replace(endpoint_of("c1", "aa")), [ip_address("10.9.0.5")])
        assert [lease.address for lease in again] == ["10.9.0.5", "fd09::3"]


STEPS = st.lists(st.tuples(st.sampled_from(["connect", "rest", "remove"]), st.integers(1, 9)), max_size=30)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_whatever_happens_no_address_has_two_holders_and_none_is_lost(steps: list[tuple[str, int]]) -> None:
    with small_network() as conn:
        alive: set[int] = set()
        for verb, number in steps:
            name = f"c{number}"
            known = containers.get(conn, full(name)) is not None
            if verb == "connect" and not known:
                with contextlib.suppress(Conflict):
                    connect(conn, name)
                    alive.add(number)
            elif verb == "rest" and known:
                containers.update(conn, full(name), state="exited")
                alive.discard(number)
            elif verb == "remove" and known:
                containers.delete(conn, full(name))
                alive.discard(number)
            held = conn.execute("SELECT address, endpoint_id FROM lease").fetchall()
            assert len({address for address, _ in held}) == len(held)
            assert {full(f"e{number}") for number in alive} <= {holder for _, holder in held}
            assert {address for address, _ in held} <= {f"10.9.0.{last}" for last in range(2, 7)}
