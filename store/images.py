"""Images and their tags.

Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.errors import Ambiguous, Missing
from pysup.store.table import Table, decode_words

PREFIX = "sha256:"
"""What every image id begins with; people leave it out."""


@dataclass(frozen=True, slots=True)
class Image:
    """One row."""

    id: str
    """``sha256:`` and 64 hexadecimal digits."""
    layers: tuple[str, ...]
    """Names of directories under images/layers, topmost first; ``/`` is the host's own root."""
    size: int
    """Bytes on disk."""
    created_at: int
    config: str
    """JSON: docker's image config."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A name of an image: ``repository:tag``."""

    repository: str
    tag: str
    image_id: str


TABLE = Table("image", Image, {"layers": decode_words})
TAGS = Table("image_tag", Tag)


def insert(
    conn: Connection,
    *,
    id: str,  # noqa: A002 - the column's name
    config: str | Mapping[str, object],
    layers: Sequence[str],
    size: int,
    created_at: int,
) -> None:
    """Add an image; the same content again is the same image, and changes nothing."""
    if get(conn, id) is None:
        TABLE.insert(conn, id=id, config=config, layers=tuple(layers), size=size, created_at=created_at)


def get(conn: Connection, image_id: str) -> Image | None:
    """The image with this whole id."""
    return TABLE.one(conn, "WHERE id = ?", image_id)


def find(conn: Connection, ref: str) -> Image:
    """By unique prefix of the id, with or without ``sha256:``; not by tag. Raises Missing, Ambiguous."""
    begin = PREFIX + ref.removeprefix(PREFIX)
    rows = TABLE.many(conn, "WHERE id >= ? AND id < ? LIMIT 2", begin, begin + "g") if begin != PREFIX else []
    if not rows:
        raise Missing(ref)
    if len(rows) > 1:
        raise Ambiguous(ref)
    return rows[0]


def list_images(conn: Connection) -> list[Image]:
    """All images, the newest first."""
    return TABLE.many(conn, "ORDER BY created_at DESC, id")


def delete(conn: Connection, image_id: str) -> None:
    """Forget it and its tags. The caller has looked whether a container uses it (containers.using_image)."""
    conn.execute("DELETE FROM image WHERE id = ?", (image_id,))


def tagged(conn: Connection, repository: str, tag: str) -> Image | None:
    """The image that has this tag."""
    rest = "WHERE id = (SELECT image_id FROM image_tag WHERE repository = ? AND tag = ?)"
    return TABLE.one(conn, rest, repository, tag)


def set_tag(conn: Connection, repository: str, tag: str, image_id: str) -> None:
    """Give the image this tag, which another image may lose by that."""
    sql = "INSERT INTO image_tag (repository, tag, image_id) VALUES (?, ?, ?)"
    moved = " ON CONFLICT (repository, tag) DO UPDATE SET image_id = excluded.image_id"
    conn.execute(sql + moved, (repository, tag, image_id))


def untag(conn: Connection, repository: str, tag: str) -> bool:
    """Take the tag away; False if it was not there."""
    sql = "DELETE FROM image_tag WHERE repository = ? AND tag = ?"
    return conn.execute(sql, (repository, tag)).rowcount > 0


def list_tags(conn: Connection, image_id: str | None = None) -> list[Tag]:
    """All tags, or those of one image."""
    if image_id is None:
        return TAGS.many(conn, "ORDER BY repository, tag")
    return TAGS.many(conn, "WHERE image_id = ? ORDER BY repository, tag", image_id)
