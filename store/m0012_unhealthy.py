"""A run may be ended since its container was not well.

SQLite cannot change a CHECK: the table is made anew with its rows (lang_altertable, 7). Nothing refers to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0012_unhealthy"

RUN = """
CREATE TABLE new_run (
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number > 0),
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    pid INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER,
    signal INTEGER NOT NULL DEFAULT 0,
    oom_killed INTEGER NOT NULL DEFAULT 0 CHECK (oom_killed IN (0, 1)),
    cause TEXT NOT NULL CHECK (cause IN ('manual', 'policy', 'boot')),
    asked_by TEXT NOT NULL DEFAULT '',
    ended_by TEXT CHECK (ended_by IN
        ('itself', 'stop', 'restart', 'kill', 'timeout', 'unhealthy', 'oom', 'shutdown', 'lost')),
    error TEXT NOT NULL DEFAULT '',
    failed_step TEXT NOT NULL DEFAULT '',
    cpu_ns INTEGER NOT NULL DEFAULT 0,
    memory_peak INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (container_id, number)
) STRICT, WITHOUT ROWID
"""

_STEPS = (
    RUN,
    "INSERT INTO new_run SELECT * FROM run",
    "DROP TABLE run",
    "ALTER TABLE new_run RENAME TO run",
    "CREATE INDEX run_unfinished ON run (container_id) WHERE ended_at IS NULL",
)


def apply(db: Database) -> None:
    """All rows as they are, in the order of the columns."""
    for statement in _STEPS:
        db.execute(statement)
