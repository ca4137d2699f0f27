"""Containers: what was asked for (two documents in docker's shape), what is wanted now, what is observed.

A removed container whose history is kept stays as a row in state ``removed``; its name is free for others.
Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.errors import Ambiguous, Missing, NameTaken
from pysup.store.table import Table, decode_numbers, encode

STATES = ("created", "starting", "running", "paused", "stopping", "backoff", "exited", "removed")
"""Every value of ``state``; the engine's table of transitions gives them meaning."""
DESIRED = ("run", "stop", "rest")
"""``run``: should run; ``stop``: was stopped by hand; ``rest``: nobody wants it to run."""
AFTER_HEX = "g"
"""The character after the last hexadecimal digit: the ids that begin with p lie before ``p || 'g'``."""


@dataclass(frozen=True, slots=True)
class Container:
    """One row."""

    id: str
    """64 hexadecimal digits."""
    name: str
    image_id: str
    """``sha256:…``; empty with a rootfs directory."""
    image_ref: str
    """The image as it was typed."""
    state: str
    """One of STATES."""
    desired: str
    """One of DESIRED."""
    stopped_by_hand: bool
    created_at: int
    started_at: int | None
    """When the last run's process was executed."""
    finished_at: int | None
    """When the last run ended; None while one is in progress."""
    removed_at: int | None
    exit_code: int | None
    """Of the last run that ended."""
    error: str
    """Why the last run could not be started, or what was lost of it."""
    failed_step: str
    oom_killed: bool
    run_number: int
    """The last run's number; 0 before the first."""
    pid: int
    """The first process of the run in progress, as the host counts; else 0."""
    retries: int
    last_delay: float
    """Seconds."""
    recent_restarts: tuple[float, ...]
    """Seconds since the epoch, oldest first."""
    next_start_at: int | None
    """When the back-off ends."""
    gave_up_reason: str | None
    config: str
    """JSON: docker's Config."""
    host_config: str
    """JSON: docker's HostConfig, with pysup's extras under ``Pysup``."""
    health: str = ""
    """``starting``, ``healthy`` or ``unhealthy``; empty: nobody looks."""
    failing_streak: int = 0
    """Probes that failed in a row."""
    health_log: str = "[]"
    """JSON: docker's results of the last probes, the oldest first."""


TABLE = Table(
    "container",
    Container,
    {"stopped_by_hand": bool, "oom_killed": bool, "recent_restarts": decode_numbers},
)


def draft(
    *,
    id: str,  # noqa: A002 - the column's name
    name: str,
    image_id: str,
    image_ref: str,
    config: Mapping[str, object],
    host_config: Mapping[str, object],
    created_at: int,
) -> Container:
    """A row as insert() would make it, before it is in the store."""
    return Container(
        id=id, name=name, image_id=image_id, image_ref=image_ref, state="created", desired="rest",
        stopped_by_hand=False, created_at=created_at, started_at=None, finished_at=None, removed_at=None,
        exit_code=None, error="", failed_step="", oom_killed=False, run_number=0, pid=0, retries=0, last_delay=0.0,
        recent_restarts=(), next_start_at=None, gave_up_reason=None, config=str(encode(config)),
        host_config=str(encode(host_config)),
    )  # fmt: skip


def insert(
    conn: Connection,
    *,
    id: str,  # noqa: A002 - the column's name
    name: str,
    image_id: str,
    image_ref: str,
    config: str | Mapping[str, object],
    host_config: str | Mapping[str, object],
    created_at: int,
) -> None:
    """Add a container in state ``created``. Raises NameTaken."""
    try:
        TABLE.insert(
            conn,
            id=id,
            name=name,
            image_id=image_id,
            image_ref=image_ref,
            config=config,
            host_config=host_config,
            created_at=created_at,
        )
    except sqlite3.IntegrityError:
        _refuse_taken(conn, name)
        raise


def get(conn: Connection, container_id: str) -> Container | None:
    """The container with this whole id, removed ones included."""
    return TABLE.one(conn, "WHERE id = ?", container_id)


def find(conn: Connection, ref: str) -> Container:
    """By id, else name, else unique prefix of the id; not the removed ones. Raises Missing, Ambiguous."""
    found = TABLE.one(conn, "WHERE id = ? AND state <> 'removed'", ref) or by_name(conn, ref)
    if found is not None:
        return found
    rows = _by_prefix(conn, ref) if ref else []
    if not rows:
        raise Missing(ref)
    if len(rows) > 1:
        raise Ambiguous(ref)
    return rows[0]


def by_name(conn: Connection, name: str) -> Container | None:
    """The container, not removed, that has this name."""
    return TABLE.one(conn, "WHERE name = ? AND state <> 'removed'", name)


def _by_prefix(conn: Connection, prefix: str) -> list[Container]:
    # A range on the primary key: LIKE would not use the index, and would read % and _ in what was typed.
    where = "WHERE id >= ? AND id < ? AND state <> 'removed' LIMIT 2"
    return TABLE.many(conn, where, prefix, prefix + AFTER_HEX)


def find_removed(conn: Connection, ref: str) -> Container:
    """The last removed container of this name, or by unique prefix of the id. Raises Missing, Ambiguous."""
    named = "WHERE name = ? AND state = 'removed' ORDER BY removed_at DESC LIMIT 1"
    found = TABLE.one(conn, named, ref)
    if found is not None:
        return found
    begins = "WHERE id >= ? AND id < ? AND state = 'removed' LIMIT 2"
    rows = TABLE.many(conn, begins, ref, ref + AFTER_HEX) if ref else []
    if len(rows) > 1:
        raise Ambiguous(ref)
    if not rows:
        raise Missing(ref)
    return rows[0]


def list_containers(conn: Connection, states: Sequence[str] | None = None) -> list[Container]:
    """The containers in these states (default: all but the removed ones), the newest first."""
    wanted = tuple(states) if states is not None else STATES[:-1]
    marks = ", ".join("?" * len(wanted))
    return TABLE.many(conn, f"WHERE state IN ({marks}) ORDER BY created_at DESC, id", *wanted)


def using_image(conn: Connection, image_id: str) -> list[Container]:
    """The containers, not removed, that were made from this image."""
    return TABLE.many(conn, "WHERE image_id = ? AND state <> 'removed' ORDER BY created_at", image_id)


def update(conn: Connection, container_id: str, **columns: object) -> None:
    """Set columns; mappings and sequences become JSON. Raises NameTaken, KeyError without such a row."""
    try:
        changed = TABLE.update(conn, "id = ?", (container_id,), columns)
    except sqlite3.IntegrityError:
        _refuse_taken(conn, str(columns.get("name", "")), container_id)
        raise
    if columns and not changed:
        raise KeyError(container_id)


def updated(container: Container, **columns: object) -> Container:
    """The row as update() with these columns leaves it."""
    return TABLE.changed(container, columns)


def rename(conn: Connection, container_id: str, name: str) -> None:
    """Give it another name. Raises NameTaken."""
    update(conn, container_id, name=name)


def _refuse_taken(conn: Connection, name: str, but: str = "") -> None:
    holder = by_name(conn, name)
    if holder is not None and holder.id != but:
        raise NameTaken(name, holder.id) from None


def delete(conn: Connection, container_id: str) -> None:
    """Forget it at once, its runs and execs too (--rm). Its events stay until they are pruned."""
    conn.execute("DELETE FROM container WHERE id = ?", (container_id,))


def forget_removed(conn: Connection, before: int) -> list[str]:
    """Forget what was removed before this time; returns the ids, for the caller to delete their logs."""
    sql = "DELETE FROM container WHERE state = 'removed' AND removed_at < ? RETURNING id"
    return [container_id for (container_id,) in conn.execute(sql, (before,)).fetchall()]


def oldest_removed(conn: Connection) -> int | None:
    """When the first container was removed that is still remembered."""
    (found,) = conn.execute("SELECT min(removed_at) FROM container WHERE state = 'removed'").fetchone()
    return None if found is None else int(found)
