"""The images of an OCI image layout (image-layout.md): index.json, manifests, and indexes below it."""

from __future__ import annotations

from pysup.supervisor.images.archive import Archive
from pysup.supervisor.images.documents import (
    INDEXES,
    LAYERS,
    MANIFESTS,
    OCI_INDEX,
    BadImage,
    Descriptor,
    Index,
    Manifest,
    parse,
)
from pysup.supervisor.images.listed import Listed, listed
from pysup.supervisor.images.platforms import REFERENCE, Platform, choose

INDEX = "index.json"
CONTAINERD_NAME = "io.containerd.image.name"
"""An annotation: the whole name."""
REF_NAME = "org.opencontainers.image.ref.name"
"""An annotation: a tag (skopeo, docker), or a whole name (podman)."""
_DEEPEST = 4
"""Indexes below each other."""


def images_of(archive: Archive, host: Platform, wanted: Platform | None) -> list[Listed]:
    """Those that index.json lists. Of an index, the one for ``wanted``, or for the host, or the only one.

    Raises BadImage, WrongDigest, NotFound.
    """
    content = archive.document(archive.need(INDEX, "index"))
    index = parse(content, OCI_INDEX)
    if not isinstance(index, Index):
        raise BadImage(f"cannot load the image: {INDEX} is not an index")
    return [_image(archive, one, host, wanted) for one in index.manifests if _is_image(one)]


def _is_image(one: Descriptor) -> bool:
    """Not an attestation, a signature or some other artefact."""
    return REFERENCE not in one.annotations and (not one.media_type or one.media_type in MANIFESTS | INDEXES)


def _image(archive: Archive, entry: Descriptor, host: Platform, wanted: Platform | None) -> Listed:
    name = names_of(entry)
    content, manifest = _manifest(archive, entry, host, wanted)
    for layer in manifest.layers:
        if layer.media_type in LAYERS:
            archive.described(layer, "layer")
    config = archive.document(archive.described(manifest.config, "config"))
    return listed(content, manifest, config, name)


def _manifest(
    archive: Archive, entry: Descriptor, host: Platform, wanted: Platform | None
) -> tuple[bytes, Manifest]:
    for _ in range(_DEEPEST):
        content = archive.document(archive.described(entry, "manifest"))
        found = parse(content, entry.media_type)
        if isinstance(found, Manifest):
            return content, found
        entry = _chosen(archive, found, host, wanted)
    raise BadImage(f"cannot load the image: it has more than {_DEEPEST} indexes below each other")


def _chosen(archive: Archive, index: Index, host: Platform, wanted: Platform | None) -> Descriptor:
    """An archive need not have all that an index lists."""
    there = [
        one
        for one in index.manifests
        if _is_image(one) and archive.find(f"blobs/{one.digest.replace(':', '/')}")
    ]
    return there[0] if wanted is None and len(there) == 1 else choose(there, wanted or host)


def names_of(entry: Descriptor) -> tuple[str, ...]:
    """A reference name without a repository names nothing here."""
    name = entry.annotations.get(CONTAINERD_NAME)
    if name:
        return (name,)
    name = entry.annotations.get(REF_NAME, "")
    return (name,) if ":" in name or "/" in name else ()
