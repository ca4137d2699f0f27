"""Whether containers do what they are for: what the probes of the last run found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0011_health"

_COLUMNS = (
    "health TEXT NOT NULL DEFAULT '' CHECK (health IN ('', 'starting', 'healthy', 'unhealthy'))",
    "failing_streak INTEGER NOT NULL DEFAULT 0",
    "health_log TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(health_log))",
)


def apply(db: Database) -> None:
    """Nobody has looked before."""
    for column in _COLUMNS:
        db.execute(f"ALTER TABLE container ADD COLUMN {column}")
