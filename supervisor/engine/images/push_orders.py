"""What a push is to send: images by name, their blobs, and where the registry may have those already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from pysup.store import blobs, images
from pysup.store.images import Image as Row
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.images.saving import check_portable, stored
from pysup.supervisor.errors import NotFound
from pysup.supervisor.images.documents import diff_ids, parse_config
from pysup.supervisor.images.platforms import Platform
from pysup.supervisor.images.registry.credentials import Credentials
from pysup.supervisor.images.writing import Saved
from pysup.supervisor.spec.reference import Reference, parse_reference

_MOST_ORIGINS = 4
"""Repositories to mount one layer from: each that does not have it costs an exchange."""


class Order(NamedTuple):
    """What is to be pushed, and by whom."""

    name: Reference
    """Without a tag: all tags of the repository."""
    credentials: Credentials
    platform: Platform | None
    """If it is given, each image must be for it."""
    caller: Caller


class Parcel(NamedTuple):
    """One image under one name."""

    name: Reference
    image_id: str
    saved: Saved
    diff_ids: Sequence[str]
    """The layers as the news call them, the lowest first."""


def parcels(conn: Connection, order: Order) -> list[Parcel]:
    """All images of an order. Raises NotFound, BadRequest."""
    name = order.name
    tags = [name.tag] if name.tag else [one.tag for one in images.tags_of(conn, name.repository)]
    found = [(name._replace(tag=tag), images.tagged(conn, name.repository, tag)) for tag in tags]
    known = [(one, row) for one, row in found if row is not None]
    if not known:
        what = "tag" if name.tag else "name"
        raise NotFound(f"cannot push {name}: An image does not exist locally with the {what}: {name}")
    return [_parcel(conn, one, row, order.platform) for one, row in known]


def _parcel(conn: Connection, name: Reference, row: Row, platform: Platform | None) -> Parcel:
    check_portable(str(name), row, platform, "push")
    return Parcel(name, row.id, stored(conn, row, (name,)), diff_ids(parse_config(row.config.encode())))


def origins(conn: Connection, target: Reference, digests: Iterable[str]) -> dict[str, list[str]]:
    """For each blob, other repositories of the same registry that images which have it came from, or went to."""
    return {digest: _origins(conn, target, digest)[:_MOST_ORIGINS] for digest in digests}


def _origins(conn: Connection, target: Reference, digest: str) -> list[str]:
    found = [parse_reference(name) for name in blobs.repositories_with(conn, digest)]
    return [one.path for one in found if one.registry == target.registry and one.path != target.path]
