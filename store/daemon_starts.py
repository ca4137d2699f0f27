"""Starts of the daemon: one row each, so that what a boot, a crash or an upgrade did can be told afterwards.

Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.table import Table


@dataclass(frozen=True, slots=True)
class DaemonStart:
    """One row."""

    id: int
    started_at: int
    stopped_at: int | None
    """When it stopped in order; None: it still runs, or was cut off."""
    version: str
    """pysup's."""
    boot_id: str
    """/proc/sys/kernel/random/boot_id: another one means that the machine was rebooted in between."""
    pid: int
    """The engine's."""
    cause: str
    """``start``, ``engine`` (the engine died, the keeper started it anew) or ``upgrade``."""


TABLE = Table("daemon_start", DaemonStart)


def add(conn: Connection, *, started_at: int, version: str, boot_id: str, pid: int, cause: str) -> int:
    """Record a start; returns its id."""
    return TABLE.insert(conn, started_at=started_at, version=version, boot_id=boot_id, pid=pid, cause=cause)


def stopped(conn: Connection, start_id: int, stopped_at: int) -> None:
    """Record that it stopped in order."""
    TABLE.update(conn, "id = ?", (start_id,), {"stopped_at": stopped_at})


def last(conn: Connection) -> DaemonStart | None:
    """The newest start."""
    return TABLE.one(conn, "ORDER BY id DESC LIMIT 1")
