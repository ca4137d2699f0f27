"""How the end of a run is made, while it is on its way: the next engine goes on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0013_endings"

_STEPS = (
    "ALTER TABLE run ADD COLUMN end_signal INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN kill_at INTEGER",
    # An older engine's stop has docker's usual grace from now on: it did not note how much is left.
    "UPDATE run SET kill_at = (strftime('%s', 'now') + 10) * 1000000000"
    " WHERE ended_at IS NULL AND ended_by IS NOT NULL",
)


def apply(db: Database) -> None:
    """Runs that nobody is ending have neither."""
    for statement in _STEPS:
        db.execute(statement)
