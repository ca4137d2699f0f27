"""The images of an archive as ``docker save`` writes it: manifest.json names a config, layers and tags of each.

Source: moby image/tarexport. There are no manifests in it, so one is made.
"""

from __future__ import annotations

from typing import Any

from pysup.supervisor.images import documents
from pysup.supervisor.images.archive import Archive
from pysup.supervisor.images.compression import LONGEST_MAGIC
from pysup.supervisor.images.documents import OCI_LAYER, BadImage, Manifest, parse
from pysup.supervisor.images.listed import Listed, listed
from pysup.supervisor.images.making import encode, layer_type, manifest_of

MANIFEST = "manifest.json"


def images_of(archive: Archive) -> list[Listed]:
    """Those that manifest.json lists. Raises BadImage."""
    content = archive.document(archive.need(MANIFEST, "list of images"))
    entries = documents.parse_value(content, MANIFEST)
    if not isinstance(entries, list):
        raise BadImage(f"cannot load the image: {MANIFEST} is not an array")
    return [_image(archive, entry) for entry in entries]


def _image(archive: Archive, entry: Any) -> Listed:  # noqa: ANN401 - JSON
    if not isinstance(entry, dict):
        raise BadImage(f"cannot load the image: an entry of {MANIFEST} is not an object")
    config = archive.document(archive.need(str(entry.get("Config")), "config"))
    blobs = [archive.need(name, "layer") for name in _texts(entry, "Layers")]
    manifest = encode(manifest_of(config, [(blob, _type(archive, blob.digest)) for blob in blobs]))
    parsed = parse(manifest)
    assert isinstance(parsed, Manifest)  # noqa: S101 - it was made so
    return listed(manifest, parsed, config, _texts(entry, "RepoTags"))


def _type(archive: Archive, digest: str) -> str:
    """By the first bytes; what has no name in the specification goes as a plain layer, and is told when it is read."""
    with archive.blobs.open(digest) as file:
        kind = layer_type(file.read(LONGEST_MAGIC))
    return kind if kind in documents.LAYERS else OCI_LAYER


def _texts(entry: dict[str, Any], name: str) -> list[str]:
    found = entry.get(name) or []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise BadImage(f"cannot load the image: {name} in {MANIFEST} is not an array of strings")
    return found
