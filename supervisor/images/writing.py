"""An archive of images that is an OCI image layout and docker's own form at once, as docker 25 and newer write it.

Source: OCI image-spec image-layout.md; moby image/tarexport/save.go. What is in it is decided by ``entries``, which
is pure; ``write`` copies blobs as they came, so that digests stay what they were. It blocks.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from pysup.supervisor.images.content import BLOBS, Blob, Content
from pysup.supervisor.images.digests import hex_of
from pysup.supervisor.images.documents import OCI_INDEX, Json
from pysup.supervisor.images.making import descriptor, encode
from pysup.supervisor.images.oci_layout import CONTAINERD_NAME, REF_NAME
from pysup.supervisor.spec.reference import Reference

_BUFFER = 1 << 20
_BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Saved:
    """One image that is to be written."""

    manifest: Blob
    media_type: str
    """The manifest's."""
    config: Blob
    layers: tuple[Blob, ...]
    """The lowest first."""
    names: tuple[Reference, ...]
    created_at: int
    """Nanoseconds since the epoch."""

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """All of them."""
        return (*self.layers, self.config, self.manifest)


def documents_of(images: Sequence[Saved]) -> dict[str, bytes]:
    """The files beside the blobs, by name."""
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entry for image in images for entry in _index_entries(image)],
    }
    return {
        "index.json": encode(index),
        "manifest.json": encode([_docker_entry(image) for image in images]),
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
    }


def _index_entries(image: Saved) -> Iterator[Json]:
    entry = descriptor(image.manifest, image.media_type)
    if not image.names:
        yield entry
    for name in image.names:
        whole = f"{name.registry}/{name.path}:{name.tag}"
        yield {**entry, "annotations": {CONTAINERD_NAME: whole, REF_NAME: name.tag}}


def _docker_entry(image: Saved) -> Json:
    return {
        "Config": _path(image.config),
        "RepoTags": [str(name) for name in image.names] or None,
        "Layers": [_path(layer) for layer in image.layers],
    }


def _path(blob: Blob) -> str:
    return f"{BLOBS}/{hex_of(blob.digest)}"


def write(images: Sequence[Saved], content: Content, target: IO[bytes]) -> None:
    """Write the archive. Raises OSError; BrokenPipeError if nobody reads on."""
    made = max(image.created_at for image in images) // _BILLION
    blobs = {blob.digest: blob for image in images for blob in image.blobs}
    with tarfile.open(fileobj=target, mode="w|", bufsize=_BUFFER, format=tarfile.GNU_FORMAT) as archive:
        for name in ("blobs", BLOBS):
            archive.addfile(_entry(name, made, tarfile.DIRTYPE))
        for blob in blobs.values():
            with content.open(blob.digest) as file:
                archive.addfile(_entry(_path(blob), made, size=blob.size), file)
        for name, document in documents_of(images).items():
            archive.addfile(_entry(name, made, size=len(document)), io.BytesIO(document))


def _entry(name: str, time: int, kind: bytes = tarfile.REGTYPE, *, size: int = 0) -> tarfile.TarInfo:
    """Owned by root, and the same whenever it is written."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.mtime = kind, size, time
    entry.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return entry
