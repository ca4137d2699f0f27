"""Execs: further processes in a running container (docker exec). They go with their container's row.

Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.errors import Ambiguous, Missing
from pysup.store.table import Table

STATES = ("created", "running", "exited")


@dataclass(frozen=True, slots=True)
class Exec:
    """One row."""

    id: str
    """64 hexadecimal digits."""
    container_id: str
    run_number: int
    """The run in which it was made."""
    state: str
    """One of STATES."""
    pid: int
    """As the host counts; 0 while there is no process."""
    exit_code: int | None
    error: str
    """Why it could not be started."""
    created_at: int
    started_at: int | None
    ended_at: int | None
    process: str
    """JSON: docker's exec-create document."""


TABLE = Table("exec", Exec)


def insert(
    conn: Connection,
    *,
    id: str,  # noqa: A002 - the column's name
    container_id: str,
    run_number: int,
    process: str | Mapping[str, object],
    created_at: int,
) -> None:
    """Add an exec in state ``created``."""
    TABLE.insert(
        conn,
        id=id,
        container_id=container_id,
        run_number=run_number,
        process=process,
        created_at=created_at,
    )


def get(conn: Connection, exec_id: str) -> Exec | None:
    """The exec with this whole id."""
    return TABLE.one(conn, "WHERE id = ?", exec_id)


def find(conn: Connection, ref: str) -> Exec:
    """By id or unique prefix of it. Raises Missing, Ambiguous."""
    rows = TABLE.many(conn, "WHERE id >= ? AND id < ? LIMIT 2", ref, ref + "g") if ref else []
    if not rows:
        raise Missing(ref)
    if len(rows) > 1:
        raise Ambiguous(ref)
    return rows[0]


def update(conn: Connection, exec_id: str, **columns: object) -> None:
    """Set columns. Raises KeyError without such a row."""
    if not TABLE.update(conn, "id = ?", (exec_id,), columns) and columns:
        raise KeyError(exec_id)


def list_execs(conn: Connection, container_id: str) -> list[Exec]:
    """The execs of a container, the oldest first."""
    return TABLE.many(conn, "WHERE container_id = ? ORDER BY created_at, id", container_id)


def unfinished(conn: Connection) -> list[Exec]:
    """The execs that were running when last heard of."""
    return TABLE.many(conn, "WHERE state = 'running' ORDER BY created_at")


def delete(conn: Connection, exec_id: str) -> None:
    """Forget it."""
    conn.execute("DELETE FROM exec WHERE id = ?", (exec_id,))


def forget_ended(conn: Connection, before: int) -> int:
    """Forget the execs that ended before this time, or were made before it and never started; returns how many."""
    old = "(state = 'exited' AND ended_at < ?) OR (state = 'created' AND created_at < ?)"
    return conn.execute(f"DELETE FROM exec WHERE {old}", (before, before)).rowcount  # noqa: S608 - our own words


def oldest_ended(conn: Connection) -> int | None:
    """When the first of the execs that forget_ended() may forget ended, or was made and never started."""
    since = "CASE state WHEN 'exited' THEN ended_at WHEN 'created' THEN created_at END"
    (found,) = conn.execute(f"SELECT min({since}) FROM exec").fetchone()  # noqa: S608 - our own words
    return None if found is None else int(found)
