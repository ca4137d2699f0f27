"""Runs: one row for each time that a container's process was started, or was tried to be, kept for `history`.

Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.table import Table

CAUSES = ("manual", "policy", "boot")
"""Who started it: a person, the restart policy, or the daemon's own start."""
ENDED_BY = ("itself", "stop", "restart", "kill", "timeout", "unhealthy", "oom", "shutdown", "lost")
"""Who ended it; ``oom``: the kernel, by an OOM kill that nobody else came before; ``lost``: its exit status cannot be
known any more.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One row."""

    container_id: str
    number: int
    """1 for the container's first run."""
    started_at: int
    ended_at: int | None
    pid: int
    """As the host counts; 0 until the process exists."""
    exit_code: int | None
    """0-255; 128+n for signal n."""
    signal: int
    """The signal that killed the first process; 0: none."""
    oom_killed: bool
    cause: str
    """One of CAUSES."""
    asked_by: str
    """For people: command, pid and uid of the caller."""
    ended_by: str | None
    """One of ENDED_BY; while it runs, by whom its end was begun."""
    error: str
    failed_step: str
    """The step of the start that failed; empty if it ran."""
    cpu_ns: int
    """CPU time used, nanoseconds."""
    memory_peak: int
    """Bytes; 0 where the kernel does not tell."""
    end_signal: int = 0
    """While its end is on its way: the signal that it was sent for it; 0: none."""
    kill_at: int | None = None
    """While it is being stopped: when it will be killed; None: never."""
    grace: int | None = None
    """The same, in nanoseconds from when it was asked for: no clock makes it longer."""

    @property
    def begun_anew(self) -> bool:
        """Whether its start was cut off, and the next run takes its place."""
        return self.ended_by == "restart" and bool(self.failed_step) and self.ended_at is not None


TABLE = Table("run", Run, {"oom_killed": bool})


def begin(
    conn: Connection, *, container_id: str, number: int, started_at: int, cause: str, asked_by: str
) -> None:
    """Add a run; committed before its process exists."""
    TABLE.insert(
        conn,
        container_id=container_id,
        number=number,
        started_at=started_at,
        cause=cause,
        asked_by=asked_by,
    )


def update(conn: Connection, container_id: str, number: int, **columns: object) -> None:
    """Set columns of one run. Raises KeyError without such a row."""
    changed = TABLE.update(conn, "container_id = ? AND number = ?", (container_id, number), columns)
    if columns and not changed:
        raise KeyError((container_id, number))


def get(conn: Connection, container_id: str, number: int) -> Run | None:
    """One run."""
    return TABLE.one(conn, "WHERE container_id = ? AND number = ?", container_id, number)


def list_runs(conn: Connection, container_id: str, last: int | None = None) -> list[Run]:
    """The runs of a container (the last few of them, if ``last`` is given), the oldest first."""
    rest = "WHERE container_id = ? ORDER BY number DESC LIMIT ?"
    return TABLE.many(conn, rest, container_id, -1 if last is None else last)[::-1]


def unfinished(conn: Connection) -> list[Run]:
    """The runs without an end: in progress, or cut off by a death of the daemon."""
    return TABLE.many(conn, "WHERE ended_at IS NULL ORDER BY started_at")
