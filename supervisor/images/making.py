"""Documents for images that come without: imports, commits, builds, and archives of docker's older form. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pysup.supervisor.images.compression import compression_of
from pysup.supervisor.images.content import Blob
from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Json


def encode(document: Json | list[Json]) -> bytes:
    """The bytes whose digest names it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def layer_type(head: bytes) -> str:
    """The media type of a layer by its first bytes (layer.md); ``+xz`` and ``+bzip2`` are no standard ones."""
    compression = compression_of(head)
    return f"{OCI_LAYER}+{compression}" if compression else OCI_LAYER


def manifest_of(config: bytes, layers: Sequence[tuple[Blob, str]]) -> Json:
    """An OCI manifest. ``layers``: each blob with its media type, the lowest first."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(Blob(digest_of(config), len(config)), OCI_CONFIG),
        "layers": [descriptor(blob, kind) for blob, kind in layers],
    }


def descriptor(blob: Blob, media_type: str) -> Json:
    """How a document names a blob (descriptor.md)."""
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}
