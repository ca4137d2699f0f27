"""Ranges of the host's user and group ids that containers have for themselves (--userns auto).

No two overlap: a trigger refuses it, whoever inserts. A range goes with its container, also with one whose row stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0008_id_ranges"

TABLE = """
CREATE TABLE id_range (
    start INTEGER NOT NULL PRIMARY KEY CHECK (start > 0),
    size INTEGER NOT NULL CHECK (size > 0 AND start + size <= 4294967295),
    container_id TEXT NOT NULL UNIQUE REFERENCES container (id) ON DELETE CASCADE
) STRICT
"""

APART = """
CREATE TRIGGER id_ranges_apart BEFORE INSERT ON id_range
WHEN EXISTS (SELECT 1 FROM id_range WHERE start < NEW.start + NEW.size AND NEW.start < start + size)
BEGIN
    SELECT RAISE(ABORT, 'these ids belong to another container');
END
"""

REMOVED = """
CREATE TRIGGER id_range_of_removed AFTER UPDATE OF state ON container WHEN NEW.state = 'removed'
BEGIN
    DELETE FROM id_range WHERE container_id = NEW.id;
END
"""


def apply(db: Database) -> None:
    """Create the table and its triggers."""
    for statement in (TABLE, APART, REMOVED):
        db.execute(statement)
