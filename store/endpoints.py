"""Endpoints (a container on a network), their leases, and published ports.

All functions take part in the caller's transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.table import Table, decode_words


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row."""

    id: str
    """64 hexadecimal digits."""
    container_id: str
    network_id: str
    mac: str
    interface: str
    """Its name inside: ``eth0``."""
    device: str
    """The host's end of the pair; it is another one for each network namespace."""
    asked: dict[str, object]
    """Docker's EndpointSettings as given: IPAMConfig, Aliases, Links, DriverOpts, GwPriority, MacAddress."""
    aliases: tuple[str, ...]
    """Further names on this network."""
    created_at: int


@dataclass(frozen=True, slots=True)
class Lease:
    """One row."""

    network_id: str
    address: str
    subnet: str
    endpoint_id: str
    asked: bool
    """It was asked for (--ip), so it is the container's as long as it exists."""


@dataclass(frozen=True, slots=True)
class Port:
    """One row."""

    id: int
    container_id: str
    protocol: str
    host_ip: str
    host_port: int
    container_port: int
    active: bool
    """False: the container is at rest; the row remembers which random port it had."""


TABLE = Table("endpoint", Endpoint, {"asked": json.loads, "aliases": decode_words})
LEASES = Table("lease", Lease, {"asked": bool})
PORTS = Table("port", Port, {"active": bool})
_ALIVE = "('starting', 'running', 'paused', 'stopping')"


def insert(conn: Connection, endpoint: Endpoint) -> None:
    """Put a container on a network."""
    TABLE.insert(conn, **{name: getattr(endpoint, name) for name in TABLE.columns})


def of_container(conn: Connection, container_id: str) -> list[Endpoint]:
    """Those of one container, in the order in which they were made."""
    return TABLE.many(conn, "WHERE container_id = ? ORDER BY created_at, rowid", container_id)


def list_endpoints(conn: Connection) -> list[Endpoint]:
    """All of them, in the order in which they were made."""
    return TABLE.many(conn, "ORDER BY created_at, rowid")


def of_network(conn: Connection, network_id: str) -> list[Endpoint]:
    """Those on one network."""
    return TABLE.many(conn, "WHERE network_id = ? ORDER BY created_at, rowid", network_id)


def alive_on(conn: Connection, network_id: str) -> list[Endpoint]:
    """Those on one network whose container is not at rest."""
    alive = f"SELECT id FROM container WHERE state IN {_ALIVE}"  # noqa: S608 - our own words
    rest = f"WHERE network_id = ? AND container_id IN ({alive}) ORDER BY created_at, rowid"
    return TABLE.many(conn, rest, network_id)


def alive_networks(conn: Connection) -> list[str]:
    """The ids of networks on which a container is that is not at rest."""
    sql = f"""SELECT DISTINCT network_id FROM endpoint WHERE container_id IN (
        SELECT id FROM container WHERE state IN {_ALIVE})"""  # noqa: S608 - our own words
    return [network_id for (network_id,) in conn.execute(sql)]


def one(conn: Connection, container_id: str, network_id: str) -> Endpoint | None:
    """A container's endpoint on a network."""
    return TABLE.one(conn, "WHERE container_id = ? AND network_id = ?", container_id, network_id)


def set_device(conn: Connection, endpoint_id: str, device: str) -> None:
    """The host's end has this name from now on."""
    TABLE.update(conn, "id = ?", (endpoint_id,), {"device": device})


def set_asked(conn: Connection, endpoint_id: str, asked: dict[str, object]) -> None:
    """The endpoint's settings, as given, are these from now on."""
    TABLE.update(conn, "id = ?", (endpoint_id,), {"asked": asked})


def delete(conn: Connection, endpoint_id: str) -> None:
    """Take the container off the network; its leases go too."""
    conn.execute("DELETE FROM endpoint WHERE id = ?", (endpoint_id,))


# -- leases --------------------------------------------------------------------------------------------------


def holder(conn: Connection, network_id: str, address: str) -> Lease | None:
    """Whose address it is."""
    return LEASES.one(conn, "WHERE network_id = ? AND address = ?", network_id, address)


def leases(conn: Connection, endpoint_id: str | None = None) -> list[Lease]:
    """An endpoint's addresses, or all; IPv4 before IPv6."""
    order = "ORDER BY instr(address, ':') > 0, address"
    if endpoint_id is None:
        return LEASES.many(conn, order)
    return LEASES.many(conn, f"WHERE endpoint_id = ? {order}", endpoint_id)


def add_lease(conn: Connection, lease: Lease) -> None:
    """Give an address; sqlite3.IntegrityError if it is somebody's."""
    LEASES.insert(conn, **{name: getattr(lease, name) for name in LEASES.columns})


def give_up_idle(conn: Connection, network_id: str, subnet: str) -> int:
    """Take back the addresses of containers at rest that did not ask for them: the subnet is used up."""
    sql = f"""DELETE FROM lease WHERE network_id = ? AND subnet = ? AND asked = 0 AND endpoint_id IN (
        SELECT endpoint.id FROM endpoint JOIN container ON container.id = endpoint.container_id
        WHERE container.state NOT IN {_ALIVE})"""  # noqa: S608 - our own words
    return conn.execute(sql, (network_id, subnet)).rowcount


# -- ports ---------------------------------------------------------------------------------------------------


def ports(conn: Connection, container_id: str | None = None, *, active: bool = True) -> list[Port]:
    """The ports of one container, or of all."""
    state = "active = 1" if active else "1"
    order = "ORDER BY container_port, protocol, host_ip, host_port"
    if container_id is None:
        return PORTS.many(conn, f"WHERE {state} {order}")
    return PORTS.many(conn, f"WHERE container_id = ? AND {state} {order}", container_id)


def using_port(conn: Connection, protocol: str, host_port: int) -> list[Port]:
    """Who has this port of the host, on any of its addresses."""
    return PORTS.many(conn, "WHERE protocol = ? AND host_port = ? AND active = 1", protocol, host_port)


def set_ports(conn: Connection, container_id: str, wanted: list[tuple[str, str, int, int]]) -> None:
    """(protocol, host ip, host port, container port) of each; what was remembered before is forgotten."""
    conn.execute("DELETE FROM port WHERE container_id = ?", (container_id,))
    for protocol, host_ip, host_port, container_port in wanted:
        PORTS.insert(
            conn, container_id=container_id, protocol=protocol, host_ip=host_ip, host_port=host_port,
            container_port=container_port,
        )  # fmt: skip
