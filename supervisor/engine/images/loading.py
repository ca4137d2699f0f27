"""``load``: archives of images, as docker, podman, skopeo and pysup write them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import IO, NamedTuple

import trio

from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.images.admission import Admission, Admissions, Candidate
from pysup.supervisor.engine.images.feeding import feed, told
from pysup.supervisor.engine.images.rows import Names
from pysup.supervisor.engine.images.unpacking import Unpacking
from pysup.supervisor.engine.progress import Progress, Step
from pysup.supervisor.errors import BadRequest, NotFound, PysupError
from pysup.supervisor.images import docker_archive, oci_layout
from pysup.supervisor.images.archive import Archive, Watch, take_in
from pysup.supervisor.images.documents import parse_config
from pysup.supervisor.images.host import architecture
from pysup.supervisor.images.listed import Listed, merged
from pysup.supervisor.images.platforms import Platform, platform_of, runs_on
from pysup.supervisor.images.tar_stream import BadArchive
from pysup.supervisor.spec.reference import Reference, parse_reference

_SHORT = 12
_DIGITS = re.compile("[0-9a-f]{64}", re.ASCII)


class Loaded(NamedTuple):
    """An image that is there now."""

    id: str
    names: tuple[str, ...]
    """Those that it got; none if the archive has none for it."""


async def load(
    admissions: Admissions,
    caller: Caller,
    chunks: AsyncIterator[bytes],
    progress: Progress | None = None,
    platform: Platform | None = None,
) -> list[Loaded]:
    """Load all images of an archive. Raises BadRequest, NotFound, Conflict, Unavailable.

    All of them are read and unpacked before the first becomes an image.
    """
    async with admissions.begin() as admission:
        loaded = []
        for candidate, tags in await _candidates(admission, chunks, progress, platform):
            image_id = await admission.admit(candidate, Names(tags), "load", caller)
            loaded.append(Loaded(image_id, tuple(map(str, tags))))
        return loaded


async def _candidates(
    admission: Admission, chunks: AsyncIterator[bytes], progress: Progress | None, platform: Platform | None
) -> list[tuple[Candidate, tuple[Reference, ...]]]:
    """All images of the archive, unpacked, with their names. The first failure ends it."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        unpacking = Unpacking(admission, nursery)
        watch = _Watch(unpacking, progress)
        read = partial(_read, admission=admission, watch=watch, platform=platform)
        try:
            listed = await feed(chunks, read, "load the images")
            names = [_references(image) for image in listed]
            candidates = [await _candidate(unpacking, image) for image in listed]
        except (PysupError, OSError) as error:
            failure = error
        nursery.cancel_scope.cancel()  # what is still being unpacked is no layer of any image
    if failure is not None:
        raise told(failure, "load the images")
    return list(zip(candidates, names, strict=True))


def _read(
    source: IO[bytes], *, admission: Admission, watch: Watch, platform: Platform | None
) -> list[Listed]:
    return images_of(take_in(source, admission.content, watch), platform)


class _Watch(Watch):
    """Unpacks each layer as soon as it is there, and tells how much of it has come."""

    def __init__(self, unpacking: Unpacking, progress: Progress | None) -> None:
        self._unpacking = unpacking
        self._progress = progress

    def part(self, name: str, size: int, whole: int) -> None:
        """As docker's client shows it."""
        if self._progress is not None:
            step = Step("Loading layer", short_name(name), size, whole)
            trio.from_thread.run_sync(self._progress.tell, step)

    def layer(self, digest: str) -> None:
        """Begin in another thread."""
        trio.from_thread.run_sync(self._unpacking.begin, digest)


def short_name(name: str) -> str:
    """What a layer is called before its digest is known: by ``blobs/sha256/HEX``, ``HEX/layer.tar``, or other words."""
    parts = [part.removesuffix(".tar") for part in name.split("/")]
    return next((part[:_SHORT] for part in parts if _DIGITS.fullmatch(part)), name[-_SHORT:])


async def _candidate(unpacking: Unpacking, image: Listed) -> Candidate:
    """Unpack what is not yet unpacked."""
    for layer in image.layers:
        unpacking.begin(layer.digest, layer.diff_id)
    layers = [await unpacking.layer(layer) for layer in image.layers]
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
