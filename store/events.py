"""Events: what happened, in docker's words, each written in the transaction of the change that it tells of.

An event's id grows with every event, so "what came after this id" is exact, whatever the clock does.
Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.table import Table


@dataclass(frozen=True, slots=True)
class Event:
    """One row."""

    id: int
    time: int
    type: str
    """``container``, ``image``, ``daemon``, …"""
    action: str
    """``create``, ``start``, ``die``, …"""
    actor_id: str
    """The id of the container or image."""
    attributes: dict[str, str]
    caller_uid: int
    caller_pid: int
    """0: the daemon itself."""
    caller_gid: int = 0
    caller: str = ""
    """The name of the process, or of the certificate of who came by TCP (uid -1)."""


TABLE = Table("event", Event, {"attributes": json.loads})


def add(
    conn: Connection,
    *,
    time: int,
    type: str,  # noqa: A002 - the column's name
    action: str,
    actor_id: str,
    attributes: Mapping[str, str] | None = None,
    caller_uid: int = 0,
    caller_pid: int = 0,
    caller_gid: int = 0,
    caller: str = "",
) -> int:
    """Write one event; returns its id."""
    return TABLE.insert(
        conn,
        time=time,
        type=type,
        action=action,
        actor_id=actor_id,
        attributes=dict(attributes or {}),
        caller_uid=caller_uid,
        caller_pid=caller_pid,
        caller_gid=caller_gid,
        caller=caller,
    )


def after(conn: Connection, event_id: int, limit: int = 1000) -> list[Event]:
    """The events after this one, the oldest first, at most ``limit``: ask again with the last one's id."""
    return TABLE.many(conn, "WHERE id > ? ORDER BY id LIMIT ?", event_id, limit)


def between(
    conn: Connection, since: int | None = None, until: int | None = None, limit: int = -1
) -> list[Event]:
    """The events with since <= time <= until, in the order in which they happened."""
    rest = "WHERE time >= ? AND time <= ? ORDER BY id LIMIT ?"
    forever = (1 << 63) - 1
    return TABLE.many(conn, rest, since or 0, forever if until is None else until, limit)


def last_id(conn: Connection) -> int:
    """The newest event's id; 0 if there is none."""
    (found,) = conn.execute("SELECT max(id) FROM event").fetchone()
    return int(found or 0)


def oldest(conn: Connection) -> int | None:
    """When the oldest event was that prune() may delete."""
    sql = "SELECT time FROM event WHERE id < (SELECT max(id) FROM event) ORDER BY time LIMIT 1"
    found = conn.execute(sql).fetchone()
    return None if found is None else int(found[0])


def prune(conn: Connection, before: int) -> int:
    """Delete the events from before this time; returns how many.

    The newest one always stays: its id is where the next id comes from, and an id must never come back.
    """
    sql = "DELETE FROM event WHERE time < ? AND id < (SELECT max(id) FROM event)"
    return conn.execute(sql, (before,)).rowcount
