"""Rows of networks that people make: what is checked and written in one transaction, with the event that tells it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from sqlite3 import Connection

from pysup.store import containers, endpoints, networks
from pysup.store.networks import Network as Row
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.networks.subnetting import give_subnets
from pysup.supervisor.errors import Conflict, NotFound
from pysup.supervisor.network.addresses import Network
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.networks import CREATE, WantedNetwork

_NAMED = 5
"""So many of those who use a network are named in an error."""


def row_of(wanted: WantedNetwork, network_id: str, device: str) -> Row:
    """A new network's row; ``device`` is its interface."""
    return Row(
        id=network_id,
        name=wanted.name,
        driver=wanted.driver,
        device=device,
        builtin=False,
        internal=wanted.internal,
        ipv4=wanted.ipv4,
        ipv6=wanted.ipv6,
        options=wanted.options,
        labels=wanted.labels,
        document=dict(wanted.document),
        created_at=time.time_ns(),
    )


def insert(
    conn: Connection,
    row: Row,
    *,
    wanted: WantedNetwork,
    settings: Settings,
    occupied: Sequence[Network],
    caller: Caller,
) -> None:
    """Raises Conflict (its interface, an overlap), Unavailable (no subnet is left), NameTaken."""
    for other in networks.list_networks(conn):
        if other.device == row.device:
            raise Conflict(f"cannot {CREATE} {row.name}: network {other.name} has the interface {row.device}")
    networks.insert(conn, row)
    give_subnets(conn, row, wanted.subnets, pools=settings.address_pools, occupied=occupied)
    event_rows.note(conn, "network", "create", row.id, _told(row), caller=caller)


def delete(conn: Connection, row: Row, *, caller: Caller) -> None:
    """Raises Conflict if somebody is on it, NotFound if it is gone."""
    if networks.get(conn, row.id) is None:
        raise NotFound(f"cannot remove network {row.name}: somebody else has removed it")
    refuse_used(conn, row)
    networks.delete(conn, row.id)
    event_rows.note(conn, "network", "destroy", row.id, _told(row), caller=caller)


def refuse_used(conn: Connection, row: Row) -> None:
    """Raises Conflict if a container is on it."""
    used = endpoints.of_network(conn, row.id)
    if used:
        found = (containers.get(conn, one.container_id) for one in used[:_NAMED])
        names = [one.name for one in found if one]
        more = f" and {len(used) - len(names)} more" if len(used) > len(names) else ""
        raise Conflict(
            f"cannot remove network {row.name}: it has active endpoints: container {', '.join(names)}{more}; "
            "take it off (network disconnect), or remove it"
        )


def _told(row: Row) -> dict[str, str]:
    """The attributes of a network's events."""
    return {"name": row.name, "type": row.driver}
