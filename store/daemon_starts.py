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
    cgroup_root: str
    """The parent of its containers' cgroups; empty: it was not noted yet."""


TABLE = Table("daemon_start", DaemonStart)


def add(
    conn: Connection,
    *,
    started_at: int,
    version: str,
    boot_id: str,
    pid: int,
    cause: str,
    cgroup_root: str,
) -> int:
    """Record a start; returns its id."""
    values = {"started_at": started_at, "version": version, "boot_id": boot_id, "pid": pid}
    return TABLE.insert(conn, **values, cause=cause, cgroup_root=cgroup_root)


def cgroup_roots(conn: Connection, boot_id: str) -> list[str]:
    """Each parent of cgroups that a daemon has had since the machine was booted."""
    sql = "SELECT DISTINCT cgroup_root FROM daemon_start WHERE boot_id = ? AND cgroup_root <> ''"
    return [root for (root,) in conn.execute(sql, (boot_id,))]


def stopped(conn: Connection, start_id: int, stopped_at: int) -> None:
    """Record that it stopped in order."""
    TABLE.update(conn, "id = ?", (start_id,), {"stopped_at": stopped_at})


def last(conn: Connection) -> DaemonStart | None:
    """The newest start."""
    return TABLE.one(conn, "ORDER BY id DESC LIMIT 1")
