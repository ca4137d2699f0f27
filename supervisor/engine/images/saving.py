"""``save``: images as one archive, streamed from the blobs that they came as."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from sqlite3 import Connection

import trio

from pysup.store import blobs, images
from pysup.store.images import Image as Row
from pysup.supervisor.engine.images.admission import Admission, Admissions
from pysup.supervisor.engine.images.feeding import drain
from pysup.supervisor.errors import BadRequest, NotFound, Unavailable
from pysup.supervisor.images.content import Blob
from pysup.supervisor.images.host import HOST_ID
from pysup.supervisor.images.platforms import Platform, runs_on
from pysup.supervisor.images.writing import Saved, write
from pysup.supervisor.spec.reference import Reference, looks_like_id, parse_reference


def saved(conn: Connection, chosen: Sequence[tuple[str, Row]], platform: Platform | None) -> list[Saved]:
    """What is to be written for references, each with its image: one given by tag gets that tag, others all of theirs.

    Raises BadRequest, NotFound.
    """
    names: dict[str, dict[Reference, None]] = {}
    rows = {row.id: row for _, row in chosen}
    for ref, row in chosen:
        check_portable(ref, row, platform, "save")
        names.setdefault(row.id, {}).update(dict.fromkeys(_names(conn, ref, row)))
    return [stored(conn, row, tuple(names[row.id])) for row in rows.values()]


def check_portable(ref: str, row: Row, platform: Platform | None, verb: str) -> None:
    """Whether an image can be had elsewhere, on that platform. Raises BadRequest, NotFound."""
    if row.id == HOST_ID:
        raise BadRequest(f"cannot {verb} image {ref}: it is the machine's own root")
    if not row.manifest_digest:
        raise BadRequest(
            f"cannot {verb} image {ref}: it was imported by a version that kept no archive; import it anew"
        )
    own = Platform(row.os, row.architecture, row.variant)
    if platform is not None and not runs_on(own, platform):
        raise NotFound(f"cannot {verb} image {ref}: it is for {own}, not {platform}")


def _names(conn: Connection, ref: str, row: Row) -> list[Reference]:
    """docker writes the tag that was asked for; with an id, none."""
    with suppress(ValueError):
        name = parse_reference(ref).tagged()
        if (
            not looks_like_id(ref)
            and not name.digest
            and images.tagged(conn, name.repository, name.tag) == row
        ):
            return [name]
    return []


def stored(conn: Connection, row: Row, names: tuple[Reference, ...]) -> Saved:
    """The blobs of an image."""
    (manifest,) = blobs.of_image(conn, row.id, "manifest")
    (config,) = blobs.of_image(conn, row.id, "config")
    layers = tuple(Blob(one.digest, one.size) for one in blobs.of_image(conn, row.id, "layer"))
    return Saved(
        manifest=Blob(manifest.digest, manifest.size),
        media_type=manifest.media_type,
        config=Blob(config.digest, config.size),
        layers=layers,
        names=names,
        created_at=row.created_at,
    )


async def save(
    admissions: Admissions, wanted: Sequence[Saved], send: Callable[[bytes], Awaitable[None]]
) -> None:
    """Send the archive piece by piece. Raises Unavailable if a blob cannot be read; then it is incomplete."""
    async with admissions.begin() as admission:
        await trio.to_thread.run_sync(hold, admission, wanted, "save the images")
        await drain(partial(write, wanted, admission.content), send, "save the images")


def hold(admission: Admission, wanted: Sequence[Saved], verb: str) -> None:
    """A removal meanwhile does not take them away. Raises Unavailable. Blocks."""
    for image in wanted:
        for blob in image.blobs:
            if admission.content.has(blob.digest) != blob.size:
                raise Unavailable(f"cannot {verb}: blob {blob.digest} is damaged or missing")
