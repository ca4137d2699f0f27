"""Secrets, sealed, and which container uses which: a used one cannot go, whoever deletes the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0006_secrets"

TABLE = """
CREATE TABLE secret (
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    created_at INTEGER NOT NULL,
    labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)),
    anonymous INTEGER NOT NULL DEFAULT 0 CHECK (anonymous IN (0, 1)),
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""

USES = """
CREATE TABLE secret_use (
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    target TEXT NOT NULL CHECK (target LIKE '/%'),
    secret TEXT NOT NULL REFERENCES secret (name),
    PRIMARY KEY (container_id, target)
) STRICT, WITHOUT ROWID
"""

INDEX = "CREATE INDEX secret_use_secret ON secret_use (secret)"


def apply(db: Database) -> None:
    """Create both tables; the index serves the foreign key."""
    for statement in (TABLE, USES, INDEX):
        db.execute(statement)
