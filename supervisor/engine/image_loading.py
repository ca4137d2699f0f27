"""``load``: archives of images, as docker, podman, skopeo and pysup write them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import IO, NamedTuple

import trio

from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.engine.feeding import feed, told
from pysup.supervisor.engine.image_admission import Admission, Admissions, Candidate
from pysup.supervisor.engine.image_rows import Names
from pysup.supervisor.engine.unpacking import Unpacking
from pysup.supervisor.errors import BadRequest, NotFound, PysupError
from pysup.supervisor.images import docker_archive, oci_layout
from pysup.supervisor.images.archive import Archive, take_in
from pysup.supervisor.images.documents import parse_config
from pysup.supervisor.images.host import architecture
from pysup.supervisor.images.layers import Layer
from pysup.supervisor.images.listed import Listed, merged
from pysup.supervisor.images.platforms import Platform, platform_of, runs_on
from pysup.supervisor.images.tar_stream import BadArchive
from pysup.supervisor.spec.reference import Reference, parse_reference

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
        loaded = []
        for candidate, tags in await _candidates(admission, chunks, tell, platform):
            image_id = await admission.admit(candidate, Names(tags), "load", caller)
            loaded.append(Loaded(image_id, tuple(map(str, tags))))
        return loaded


async def _candidates(
    admission: Admission, chunks: AsyncIterator[bytes], tell: Told, platform: Platform | None
) -> list[tuple[Candidate, tuple[Reference, ...]]]:
    """All images of the archive, unpacked, with their names. The first failure ends it."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        unpacking = Unpacking(admission, nursery)
        read = partial(_read, admission=admission, unpacking=unpacking, platform=platform)
        try:
            listed = await feed(chunks, read, "load the images")
            names = [_references(image) for image in listed]
            candidates = [await _candidate(unpacking, image, tell) for image in listed]
        except (PysupError, OSError) as error:
            failure = error
        nursery.cancel_scope.cancel()  # what is still being unpacked is no layer of any image
    if failure is not None:
        raise told(failure, "load the images")
    return list(zip(candidates, names, strict=True))


def _read(
    source: IO[bytes], *, admission: Admission, unpacking: Unpacking, platform: Platform | None
) -> list[Listed]:
    def seen(digest: str) -> None:
        trio.from_thread.run_sync(unpacking.begin, digest)

    return images_of(take_in(source, admission.content, seen), platform)


async def _candidate(unpacking: Unpacking, image: Listed, tell: Told) -> Candidate:
    """Unpack what is not yet unpacked."""
    for layer in image.layers:
        unpacking.begin(layer.digest, layer.diff_id)
    layers = []
    for layer in image.layers:
        layers.append(await unpacking.layer(layer))
        await tell(layers[-1])
    return Candidate(image.manifest, image.media_type, image.config, layers)


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
