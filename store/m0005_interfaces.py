"""Endpoints have a name inside of their container: eth0, eth1, …; no two of a container have one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0005_interfaces"

COLUMN = "ALTER TABLE endpoint ADD COLUMN interface TEXT NOT NULL DEFAULT 'eth0' CHECK (interface <> '')"
INDEX = "CREATE UNIQUE INDEX endpoint_interface ON endpoint (container_id, interface)"


def apply(db: Database) -> None:
    """Add the column; no container of an earlier version was on a network."""
    for statement in (COLUMN, INDEX):
        db.execute(statement)
