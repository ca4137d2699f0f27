"""Rows of networks and of containers on them, for tests of the store and of what decides on it."""

from __future__ import annotations

from sqlite3 import Connection

from pysup.store import containers, networks
from pysup.store.endpoints import Endpoint
from pysup.store.networks import Network, Subnet

from . import rows


def full(begin: str) -> str:
    """An id that begins so."""
    return begin.ljust(64, "0")


def add_network(conn: Connection, begin: str, name: str, subnet: str, gateway: str) -> None:
    """A bridge network with one subnet."""
    made = Network(
        id=full(begin), name=name, driver="bridge", device="br0", builtin=False, internal=False, ipv4=True,
        ipv6=False, options={"a": "b"}, labels={}, document={}, created_at=1,
    )  # fmt: skip
    networks.insert(conn, made)
    networks.add_subnet(conn, Subnet(full(begin), subnet, "", gateway, {}, ""))


def add_container(conn: Connection, begin: str, state: str = "created") -> None:
    """A container, named as its id begins."""
    rows.insert(conn, full(begin), begin)
    containers.update(conn, full(begin), state=state)


def endpoint_of(container: str, network: str) -> Endpoint:
    """``c1`` on a network has the endpoint ``e1``."""
    return Endpoint(
        id=full("e" + container[1:]), container_id=full(container), network_id=full(network), mac="02:00:00:00:00:02",
        interface="eth0", device="", asked={}, aliases=(), created_at=1,
    )  # fmt: skip
