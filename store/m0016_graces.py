"""How long the end of a run may take from when it was asked for: a clock that is set back makes it no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0016_graces"


def apply(db: Database) -> None:
    """An end that is on its way has docker's usual grace at most: what it was given was not noted."""
    db.execute("ALTER TABLE run ADD COLUMN grace INTEGER")
    db.execute("UPDATE run SET grace = 10000000000 WHERE ended_at IS NULL AND kill_at IS NOT NULL")
