"""Volumes, and their use by containers.

Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.errors import Missing
from pysup.store.table import Table


@dataclass(frozen=True, slots=True)
class Volume:
    """One row."""

    name: str
    """Also the name of its directory."""
    driver: str
    created_at: int
    labels: dict[str, str]
    options: dict[str, str]
    """The driver's: ``type``, ``o``, ``device``."""
    anonymous: bool
    """Nobody has named it; ``volume prune`` takes it without being told to."""


@dataclass(frozen=True, slots=True)
class Use:
    """A container, running or not, that shows a volume."""

    container_id: str
    destination: str
    """Where the container has it."""
    volume: str
    anonymous: bool
    """It was not given to the container by name: ``rm -v`` removes it with its last user."""


TABLE = Table("volume", Volume, {"labels": json.loads, "options": json.loads, "anonymous": bool})
USES = Table("volume_use", Use, {"anonymous": bool})


def insert(
    conn: Connection,
    *,
    name: str,
    created_at: int,
    driver: str = "local",
    labels: Mapping[str, str],
    options: Mapping[str, str],
    anonymous: bool = False,
) -> None:
    """Add a volume. Raises sqlite3.IntegrityError if there is one of this name."""
    TABLE.insert(
        conn,
        name=name,
        driver=driver,
        created_at=created_at,
        labels=dict(labels),
        options=dict(options),
        anonymous=int(anonymous),
    )


def get(conn: Connection, name: str) -> Volume | None:
    """The volume of this name."""
    return TABLE.one(conn, "WHERE name = ?", name)


def list_volumes(conn: Connection) -> list[Volume]:
    """All volumes, by name."""
    return TABLE.many(conn, "ORDER BY name")


def delete(conn: Connection, name: str) -> bool:
    """Forget it; False if there is none. Raises sqlite3.IntegrityError while a container uses it."""
    return conn.execute("DELETE FROM volume WHERE name = ?", (name,)).rowcount > 0


# -- use -----------------------------------------------------------------------------------------------------


def use(conn: Connection, *, container_id: str, destination: str, volume: str, anonymous: bool) -> None:
    """Note that a container, whose row is there, shows a volume. Raises Missing if that is gone."""
    try:
        USES.insert(
            conn,
            container_id=container_id,
            destination=destination,
            volume=volume,
            anonymous=int(anonymous),
        )
    except sqlite3.IntegrityError:
        if get(conn, volume) is None:
            raise Missing(volume) from None
        raise


def uses(conn: Connection, volume: str) -> list[Use]:
    """Who uses it."""
    return USES.many(conn, "WHERE volume = ? ORDER BY container_id, destination", volume)


def uses_of(conn: Connection, container_id: str) -> list[Use]:
    """What a container uses."""
    return USES.many(conn, "WHERE container_id = ? ORDER BY destination", container_id)


def users(conn: Connection) -> dict[str, int]:
    """How many containers use each volume; one that nobody uses is not in it."""
    sql = "SELECT volume, count(DISTINCT container_id) FROM volume_use GROUP BY volume"
    return {str(volume): int(count) for volume, count in conn.execute(sql)}


def release(conn: Connection, container_id: str, *, drop_anonymous: bool) -> list[str]:
    """Forget what a container uses; returns the volumes that went with it, for the caller to remove their files.

    Those are, if asked for, the volumes that it was not given by name, and that nobody else uses.
    """
    unnamed = {one.volume for one in uses_of(conn, container_id) if one.anonymous}
    conn.execute("DELETE FROM volume_use WHERE container_id = ?", (container_id,))
    dropped = sorted(name for name in unnamed if not uses(conn, name)) if drop_anonymous else []
    for name in dropped:
        delete(conn, name)
    return dropped
