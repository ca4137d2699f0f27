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
    manifest_digest: str = ""
    """Of the manifest that it came with; empty for the host's root, and what was imported before there were any."""
    os: str = "linux"
    architecture: str = ""
    variant: str = ""
    parent_id: str = ""
    """The image that it was committed from; that may be gone."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A name of an image by content: ``repository@digest``, of its manifest or of the index that led there."""

    repository: str
    digest: str
    image_id: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A name of an image: ``repository:tag``."""

    repository: str
    tag: str
    image_id: str


TABLE = Table("image", Image, {"layers": decode_words})
TAGS = Table("image_tag", Tag)
DIGESTS = Table("image_digest", Digest)


def insert(
    conn: Connection,
    *,
    id: str,  # noqa: A002 - the column's name
    config: str | Mapping[str, object],
    layers: Sequence[str],
    size: int,
    created_at: int,
    **others: str,
) -> bool:
    """Add an image; the same content again is the same image: False, and nothing changes. Others are columns."""
    if get(conn, id) is not None:
        return False
    columns = {"config": config, "layers": tuple(layers), "size": size, "created_at": created_at, **others}
    TABLE.insert(conn, id=id, **columns)
    return True


def set_manifest(conn: Connection, image_id: str, digest: str) -> None:
    """The manifest of an image that had none."""
    TABLE.update(conn, "id = ?", (image_id,), {"manifest_digest": digest})


def set_parent(conn: Connection, image_id: str, parent_id: str) -> None:
    """What an image was committed from."""
    TABLE.update(conn, "id = ?", (image_id,), {"parent_id": parent_id})


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


def tags_of(conn: Connection, repository: str) -> list[Tag]:
    """The tags of a repository, in their order."""
    return TAGS.many(conn, "WHERE repository = ? ORDER BY tag", repository)


def with_digest(conn: Connection, repository: str, digest: str) -> Image | None:
    """The image that has this name by content."""
    rest = "WHERE id = (SELECT image_id FROM image_digest WHERE repository = ? AND digest = ?)"
    return TABLE.one(conn, rest, repository, digest)


def add_digest(conn: Connection, repository: str, digest: str, image_id: str) -> None:
    """Give the image this name by content, for good."""
    sql = "INSERT OR REPLACE INTO image_digest (repository, digest, image_id) VALUES (?, ?, ?)"
    conn.execute(sql, (repository, digest, image_id))


def drop_digest(conn: Connection, repository: str, digest: str) -> bool:
    """Take a name by content away; False if it was not there."""
    sql = "DELETE FROM image_digest WHERE repository = ? AND digest = ?"
    return conn.execute(sql, (repository, digest)).rowcount > 0


def list_digests(conn: Connection, image_id: str | None = None) -> list[Digest]:
    """All names by content, or those of one image."""
    if image_id is None:
        return DIGESTS.many(conn, "ORDER BY repository, digest")
    return DIGESTS.many(conn, "WHERE image_id = ? ORDER BY repository, digest", image_id)
