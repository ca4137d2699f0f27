"""What of an image has to be made anew before registries take it: layers without compression, or with a rare one. Pure.

Everything else goes as it came, so that digests stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from pysup.supervisor.images.content import Blob
from pysup.supervisor.images.documents import Manifest, parse_json
from pysup.supervisor.images.making import encode

_TAKEN = (".gzip", "+gzip", ".zstd", "+zstd")
_DOCKER = "application/vnd.docker.image.rootfs."


def to_be_compressed(manifest: Manifest) -> list[str]:
    """Digests of the layers that no registry should be given as they are, each once."""
    return list(dict.fromkeys(one.digest for one in manifest.layers if not one.media_type.endswith(_TAKEN)))


def with_compressed(content: bytes, made: Mapping[str, Blob]) -> bytes:
    """A manifest with the gzipped layers in place of others, by those's digest; the same bytes if there are none."""
    if not made:
        return content
    document = parse_json(content, "manifest")
    document["layers"] = [_replaced(layer, made.get(layer["digest"])) for layer in document["layers"]]
    return encode(document)


def _replaced(layer: dict[str, object], made: Blob | None) -> dict[str, object]:
    if made is None:
        return layer
    kind = _gzipped(str(layer.get("mediaType", "")))
    return {**layer, "mediaType": kind, "digest": made.digest, "size": made.size}


def _gzipped(media_type: str) -> str:
    if media_type.startswith(_DOCKER):
        return media_type + ".gzip"
    return media_type.partition("+")[0] + "+gzip"
