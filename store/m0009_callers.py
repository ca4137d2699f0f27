"""Events say more of who asked: the group, and the name of the process or of the certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0009_callers"

GROUP = "ALTER TABLE event ADD COLUMN caller_gid INTEGER NOT NULL DEFAULT 0"
CALLER = "ALTER TABLE event ADD COLUMN caller TEXT NOT NULL DEFAULT ''"


def apply(db: Database) -> None:
    """Add the columns; of events that are there already nobody knows."""
    for statement in (GROUP, CALLER):
        db.execute(statement)
