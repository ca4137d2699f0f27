"""The cache of builds.

A migration is history: change the schema by adding one, not by editing this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0007_builds"

BUILD_STEP = """
CREATE TABLE build_step (
    key TEXT NOT NULL PRIMARY KEY CHECK (key <> ''),
    image_id TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    parent_id TEXT NOT NULL DEFAULT '',
    instruction TEXT NOT NULL,
    size INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    uses INTEGER NOT NULL DEFAULT 0,
    result INTEGER NOT NULL DEFAULT 0 CHECK (result IN (0, 1))
) STRICT, WITHOUT ROWID
"""

BUILD_CONTAINER = """
CREATE TABLE build_container (
    container_id TEXT NOT NULL PRIMARY KEY REFERENCES container (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID
"""

INDEXES = (
    "CREATE INDEX build_step_image ON build_step (image_id)",
    "CREATE INDEX build_step_parent ON build_step (parent_id)",
)


def apply(db: Database) -> None:
    """Create both tables; the first index serves the foreign key."""
    for statement in (BUILD_STEP, BUILD_CONTAINER, *INDEXES):
        db.execute(statement)
