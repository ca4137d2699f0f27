"""Volumes, and which container uses which: a used one cannot go, whoever deletes the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0004_volumes"

VOLUME = """
CREATE TABLE volume (
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    driver TEXT NOT NULL DEFAULT 'local' CHECK (driver <> ''),
    created_at INTEGER NOT NULL,
    labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)),
    options TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(options)),
    anonymous INTEGER NOT NULL DEFAULT 0 CHECK (anonymous IN (0, 1))
) STRICT, WITHOUT ROWID
"""

VOLUME_USE = """
CREATE TABLE volume_use (
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    destination TEXT NOT NULL CHECK (destination LIKE '/%'),
    volume TEXT NOT NULL REFERENCES volume (name),
    anonymous INTEGER NOT NULL DEFAULT 0 CHECK (anonymous IN (0, 1)),
    PRIMARY KEY (container_id, destination)
) STRICT, WITHOUT ROWID
"""

INDEX = "CREATE INDEX volume_use_volume ON volume_use (volume)"


def apply(db: Database) -> None:
    """Create both tables; the index serves the foreign key."""
    for statement in (VOLUME, VOLUME_USE, INDEX):
        db.execute(statement)
