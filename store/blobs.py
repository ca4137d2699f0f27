"""What images are made of: blobs as they came, and unpacked layers. Both are shared.

All functions take part in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.table import Table


@dataclass(frozen=True, slots=True)
class Blob:
    """One row: a file below images/blobs."""

    digest: str
    size: int
    """Bytes."""
    media_type: str


@dataclass(frozen=True, slots=True)
class ImageBlob:
    """What a blob is to an image; the layers in their order, the lowest first."""

    image_id: str
    role: str
    """``manifest``, ``config`` or ``layer``."""
    position: int
    digest: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One row: a directory below images/layers."""

    name: str
    size: int
    """Bytes of its files."""


BLOBS = Table("blob", Blob)
IMAGE_BLOBS = Table("image_blob", ImageBlob)
LAYERS = Table("layer", Layer)


def attach(conn: Connection, image_id: str, role: str, blobs: Sequence[Blob]) -> None:
    """Note that an image has these blobs, in this order."""
    for position, blob in enumerate(blobs):
        sql = "INSERT OR IGNORE INTO blob (digest, size, media_type) VALUES (?, ?, ?)"
        conn.execute(sql, (blob.digest, blob.size, blob.media_type))
        IMAGE_BLOBS.insert(conn, image_id=image_id, role=role, position=position, digest=blob.digest)


def of_image(conn: Connection, image_id: str, role: str) -> list[Blob]:
    """The blobs of an image in a role, in their order; none for an image that was made before there were blobs."""
    rest = "JOIN image_blob USING (digest) WHERE image_id = ? AND role = ? ORDER BY position"
    return BLOBS.many(conn, rest, image_id, role)


def all_image_blobs(conn: Connection) -> list[ImageBlob]:
    """Which image has which blobs."""
    return IMAGE_BLOBS.many(conn, "ORDER BY image_id, role, position")


def repositories_with(conn: Connection, digest: str) -> list[str]:
    """Repositories that images which have this blob came from, or were pushed to."""
    sql = (
        "SELECT DISTINCT repository FROM image_digest JOIN image_blob USING (image_id)"
        " WHERE image_blob.digest = ? ORDER BY repository"
    )
    return [str(repository) for (repository,) in conn.execute(sql, (digest,)).fetchall()]


def add_layers(conn: Connection, layers: Sequence[Layer]) -> None:
    """Note layers; those that are known stay as they are."""
    sql = "INSERT OR IGNORE INTO layer (name, size) VALUES (?, ?)"
    conn.executemany(sql, [(layer.name, layer.size) for layer in layers])


def all_blobs(conn: Connection) -> list[Blob]:
    """Every blob that an image has."""
    return BLOBS.many(conn, "ORDER BY digest")


def all_layers(conn: Connection) -> list[Layer]:
    """Every layer that an image has."""
    return LAYERS.many(conn, "ORDER BY name")


def layers_in_use(conn: Connection) -> set[str]:
    """Names of the directories that images are made of."""
    return {str(name) for (name,) in conn.execute("SELECT value FROM image, json_each(image.layers)")}


def forget_unused(conn: Connection) -> None:
    """Forget the blobs and layers that no image has any more. Their files are the caller's to remove."""
    conn.execute("DELETE FROM blob WHERE digest NOT IN (SELECT digest FROM image_blob)")
    used = "SELECT value FROM image, json_each(image.layers)"
    conn.execute(f"DELETE FROM layer WHERE name NOT IN ({used})")  # noqa: S608 - no value of anybody's
