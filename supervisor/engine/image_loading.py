"""``load``: archives of images, as docker, podman, skopeo and pysup write them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import IO, NamedTuple, cast

import trio

from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.engine.feeding import Interruptible, feed, told
from pysup.supervisor.engine.image_admission import Admission, Admissions, Candidate
from pysup.supervisor.engine.image_rows import Names
from pysup.supervisor.errors import BadRequest, NotFound, PysupError
from pysup.supervisor.images import docker_archive, oci_layout
from pysup.supervisor.images.archive import Archive, take_in
from pysup.supervisor.images.compression import LONGEST_MAGIC, NONE, compression_of
from pysup.supervisor.images.documents import parse_config
from pysup.supervisor.images.host import architecture
from pysup.supervisor.images.layers import Layer
from pysup.supervisor.images.listed import Listed, ListedLayer, merged
from pysup.supervisor.images.platforms import Platform, platform_of, runs_on
from pysup.supervisor.images.tar_stream import BadArchive
from pysup.supervisor.spec.reference import Reference, parse_reference

_AT_ONCE = max(2, os.cpu_count() or 1)

Told = Callable[[Layer], Awaitable[None]]
"""Called with each layer that has been unpacked."""


class Loaded(NamedTuple):
    """An image that is there now."""

    id: str
    names: tuple[str, ...]
    """Those that it got; none if the archive has none for it."""


async def load(
    admissions: Admissions,
    caller: Caller,
    chunks: AsyncIterator[bytes],
    tell: Told,
    platform: Platform | None = None,
) -> list[Loaded]:
    """Load all images of an archive. Raises BadRequest, NotFound, Conflict, Unavailable.

    All of them are read and unpacked before the first becomes an image.
    """
    async with admissions.begin() as admission:
        listed = await feed(chunks, partial(_read, admission=admission, platform=platform), "load the images")
        names = [_references(image) for image in listed]
        layers = await _unpack(admission, listed, tell)
        loaded = []
        for image, tags in zip(listed, names, strict=True):
            found = tuple(layers[layer.diff_id] for layer in image.layers)
            candidate = Candidate(image.manifest, image.media_type, image.config, found)
            image_id = await admission.admit(candidate, Names(tags), "load", caller)
            loaded.append(Loaded(image_id, tuple(map(str, tags))))
        return loaded


def _read(source: IO[bytes], *, admission: Admission, platform: Platform | None) -> list[Listed]:
    return images_of(take_in(source, admission.content), platform)


def images_of(archive: Archive, platform: Platform | None) -> list[Listed]:
    """An archive that is both is read as an OCI layout, whose manifests are the images' own."""
    if archive.find(oci_layout.INDEX):
        host = platform_of({"architecture": architecture()})
        found = oci_layout.images_of(archive, host, platform)
        if archive.find(docker_archive.MANIFEST):
            found += [
                one for one in docker_archive.images_of(archive) if one.id in {image.id for image in found}
            ]
    elif archive.find(docker_archive.MANIFEST):
        found = docker_archive.images_of(archive)
    else:
        raise BadArchive("cannot load the images: the archive has neither index.json nor manifest.json")
    if not found:
        raise BadArchive("cannot load the images: the archive lists none")
    return merged(_fitting(found, platform) if platform else found)


def _fitting(found: Sequence[Listed], platform: Platform) -> list[Listed]:
    fitting = [one for one in found if runs_on(platform_of(parse_config(one.config)), platform)]
    if not fitting:
        raise NotFound(f"cannot load the images: the archive has none for {platform}")
    return fitting


def _references(image: Listed) -> tuple[Reference, ...]:
    try:
        return tuple(dict.fromkeys(_reference(name) for name in image.names))
    except ValueError as error:
        raise BadRequest(f"cannot load image {image.id}: {error}") from None


def _reference(name: str) -> Reference:
    return parse_reference(name).tagged()._replace(digest="")


async def _unpack(admission: Admission, images: Sequence[Listed], tell: Told) -> dict[str, Layer]:
    """All layers, each once, some at a time; by diff-id. The first failure ends it."""
    wanted = {layer.diff_id: layer for image in images for layer in image.layers}
    limit, found = trio.CapacityLimiter(_AT_ONCE), dict[str, Layer]()
    failures: list[Exception] = []

    async def unpack(layer: ListedLayer) -> None:
        try:
            done = await trio.to_thread.run_sync(unpack_blob, admission, layer, limiter=limit)
        except (PysupError, OSError) as error:
            failures.append(error)
            nursery.cancel_scope.cancel()
            return
        found[layer.diff_id] = done
        await tell(done)

    async with trio.open_nursery() as nursery:
        for layer in wanted.values():
            nursery.start_soon(unpack, layer)
    if failures:
        raise told(failures[0], "load the images") from failures[0]
    return found


def unpack_blob(admission: Admission, layer: ListedLayer) -> Layer:
    """Unpack a blob that is there. A plain one has been verified already, as its digest is its diff-id."""
    with admission.content.open(layer.digest) as file:
        plain = compression_of(os.pread(file.fileno(), LONGEST_MAGIC, 0)) == NONE
        source = cast("IO[bytes]", Interruptible(file))
        return admission.unpack(source, layer.diff_id, plain_digest=layer.digest if plain else None)
