"""Which ids of the host are whose. All functions take part in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.table import Table


@dataclass(frozen=True, slots=True)
class IdRange:
    """One row: users and groups from ``start`` on are one container's."""

    start: int
    size: int
    container_id: str


TABLE = Table("id_range", IdRange)

_EXPLICIT = """SELECT json_extract(map.value, '$[1]'), json_extract(map.value, '$[2]')
FROM container, json_each(container.host_config, ?) AS map WHERE container.state <> 'removed'"""


def insert(conn: Connection, *, start: int, size: int, container_id: str) -> None:
    """Give a range. Raises sqlite3.IntegrityError if a part of it is somebody's."""
    TABLE.insert(conn, start=start, size=size, container_id=container_id)


def list_ranges(conn: Connection) -> list[IdRange]:
    """All of them, by their first id."""
    return TABLE.many(conn, "ORDER BY start")


def explicit(conn: Connection) -> list[tuple[int, int]]:
    """(first id, count) of what containers were given by --uidmap and --gidmap, or share with those that were."""
    paths = [f"$.Pysup.{key}" for key in ("UidMaps", "GidMaps", "JoinedIds.UidMaps", "JoinedIds.GidMaps")]
    return [(int(start), int(size)) for path in paths for start, size in conn.execute(_EXPLICIT, (path,))]
