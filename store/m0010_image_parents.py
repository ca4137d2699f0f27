"""Images know which one they were committed from.

A migration is history: change the schema by adding one, not by editing this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0010_image_parents"

PARENT = "ALTER TABLE image ADD COLUMN parent_id TEXT NOT NULL DEFAULT ''"


def apply(db: Database) -> None:
    """Add the column; of images that are there already nobody knows."""
    db.execute(PARENT)
