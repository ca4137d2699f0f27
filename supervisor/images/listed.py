"""An image as an archive lists it: documents read, layers named, nothing unpacked yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import LAYERS, BadImage, Manifest, diff_ids, parse_config


@dataclass(frozen=True, slots=True)
class ListedLayer:
    """A layer as it came, and what it must be without compression."""

    digest: str
    diff_id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One image."""

    manifest: bytes
    media_type: str
    config: bytes
    layers: tuple[ListedLayer, ...]
    """The lowest first."""
    names: tuple[str, ...] = ()
    """``repository:tag``, not checked yet."""

    @property
    def id(self) -> str:
        """The image's id."""
        return digest_of(self.config)


def listed(content: bytes, manifest: Manifest, config: bytes, names: Sequence[str]) -> Listed:
    """Documents that agree. Raises BadImage."""
    ids = diff_ids(parse_config(config))
    if len(ids) != len(manifest.layers):
        raise BadImage(
            f"cannot use the image: its manifest has {len(manifest.layers)} layers, its config {len(ids)}"
        )
    for layer in manifest.layers:
        if layer.media_type not in LAYERS:
            raise BadImage(
                f"cannot use layer {layer.digest}: its type is not supported: {layer.media_type[:100]!r}"
            )
    pairs = zip(manifest.layers, ids, strict=True)
    layers = tuple(ListedLayer(layer.digest, diff_id) for layer, diff_id in pairs)
    return Listed(content, manifest.media_type, config, layers, tuple(names))


def merged(images: Sequence[Listed]) -> list[Listed]:
    """Each image once, with all its names."""
    found: dict[str, Listed] = {}
    for image in images:
        before = found.get(image.id)
        names = dict.fromkeys((*before.names, *image.names) if before else image.names)
        found[image.id] = replace(before or image, names=tuple(names))
    return list(found.values())
