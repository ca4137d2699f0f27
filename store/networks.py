"""Networks and their subnets. Addresses are text, as ipaddress writes them.

Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.containers import AFTER_HEX
from pysup.store.errors import Ambiguous, Missing, NameTaken
from pysup.store.table import Table


@dataclass(frozen=True, slots=True)
class Network:
    """One row."""

    id: str
    """64 hexadecimal digits."""
    name: str
    driver: str
    """``bridge``, ``macvlan``, ``ipvlan``, ``host`` or ``null``."""
    device: str
    """The bridge's name; with macvlan and ipvlan the parent's."""
    builtin: bool
    """bridge, host and none, which are always there."""
    internal: bool
    ipv4: bool
    ipv6: bool
    options: dict[str, str]
    labels: dict[str, str]
    document: dict[str, object]
    """What else was asked for, as inspect shows it again (Scope, Attachable, …)."""
    created_at: int


@dataclass(frozen=True, slots=True)
class Subnet:
    """One row."""

    network_id: str
    subnet: str
    ip_range: str
    gateway: str
    """The bridge's own address; empty: none."""
    reserved: dict[str, str]
    """Addresses never given away, by name (--aux-address)."""
    last: str
    """The address that was given last."""


TABLE = Table(
    "network",
    Network,
    {
        "builtin": bool, "internal": bool, "ipv4": bool, "ipv6": bool,
        "options": json.loads, "labels": json.loads, "document": json.loads,
    },
)  # fmt: skip
SUBNETS = Table("subnet", Subnet, {"reserved": json.loads})


def insert(conn: Connection, network: Network) -> None:
    """Add a network. Raises NameTaken."""
    try:
        TABLE.insert(conn, **{name: getattr(network, name) for name in TABLE.columns})
    except sqlite3.IntegrityError:
        holder = by_name(conn, network.name)
        if holder is None:
            raise
        raise NameTaken(network.name, holder.id, "network") from None


def add_subnet(conn: Connection, subnet: Subnet) -> None:
    """Give a network a subnet."""
    SUBNETS.insert(conn, **{name: getattr(subnet, name) for name in SUBNETS.columns})


def get(conn: Connection, network_id: str) -> Network | None:
    """The network with this whole id."""
    return TABLE.one(conn, "WHERE id = ?", network_id)


def by_name(conn: Connection, name: str) -> Network | None:
    """The network of this name."""
    return TABLE.one(conn, "WHERE name = ?", name)


def find(conn: Connection, ref: str) -> Network:
    """By name, id, or unique prefix of the id. Raises Missing, Ambiguous."""
    found = by_name(conn, ref) or get(conn, ref)
    if found is not None:
        return found
    rows = TABLE.many(conn, "WHERE id >= ? AND id < ? LIMIT 2", ref, ref + AFTER_HEX) if ref else []
    if not rows:
        raise Missing(ref)
    if len(rows) > 1:
        raise Ambiguous(ref)
    return rows[0]


def list_networks(conn: Connection) -> list[Network]:
    """All of them, by name."""
    return TABLE.many(conn, "ORDER BY name")


def subnets(conn: Connection, network_id: str | None = None) -> list[Subnet]:
    """The subnets of a network, or all; IPv4 before IPv6."""
    rest = "ORDER BY network_id, instr(subnet, ':') > 0, subnet"
    if network_id is None:
        return SUBNETS.many(conn, rest)
    return SUBNETS.many(conn, "WHERE network_id = ? " + rest, network_id)


def change(conn: Connection, network_id: str, *, device: str, options: dict[str, str]) -> None:
    """The bridge has this name, and the network these options, from now on."""
    TABLE.update(conn, "id = ?", (network_id,), {"device": device, "options": options})


def delete_subnets(conn: Connection, network_id: str) -> None:
    """Forget a network's subnets, and with them the leases there."""
    conn.execute("DELETE FROM subnet WHERE network_id = ?", (network_id,))


def set_last(conn: Connection, subnet: Subnet, address: str) -> None:
    """The address that was given last."""
    SUBNETS.update(
        conn, "network_id = ? AND subnet = ?", (subnet.network_id, subnet.subnet), {"last": address}
    )


def delete(conn: Connection, network_id: str) -> None:
    """Forget it, its subnets, endpoints and leases. The caller has looked whether one is in use."""
    conn.execute("DELETE FROM network WHERE id = ?", (network_id,))
