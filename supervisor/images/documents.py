"""Manifests, indexes and configs of images, read strictly. Pure.

Sources: OCI image-spec (manifest.md, image-index.md, config.md, descriptor.md), docker's distribution spec v2
schema 2. A document says which kind it is; one that could be read as two kinds is refused (CVE-2021-41190).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.images.digests import is_digest
from pysup.supervisor.nesting import check_depth

Json = dict[str, Any]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
LAYERS = frozenset(
    {OCI_LAYER + compression for compression in ("", "+gzip", "+zstd")}
    | {f"application/vnd.oci.image.layer.nondistributable.v1.tar{one}" for one in ("", "+gzip", "+zstd")}
    | {f"application/vnd.docker.image.rootfs.{one}" for one in ("diff.tar", "diff.tar.gzip", "diff.tar.zstd")}
    | {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}
)
LARGEST = 8 << 20
"""Bytes of a document: twice what registries take for a manifest."""
_MOST_LAYERS = 500
"""As many as overlayfs stacks (OVL_MAX_STACK)."""
_LARGEST_BLOB = 1 << 50


class BadImage(BadRequest):
    """A document of an image is damaged, contradicts itself, or is of a kind that is not supported."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What one document says of another blob."""

    media_type: str
    digest: str
    size: int
    """Bytes."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image: a config and its layers, the lowest first."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Several images, mostly one for each platform."""

    media_type: str
    manifests: tuple[Descriptor, ...]


def parse(content: bytes, media_type: str = "") -> Manifest | Index:
    """Read a manifest or an index, which must be what ``media_type`` says, if that is given. Raises BadImage."""
    document = parse_json(content, "manifest")
    kind = _kind(document, media_type)
    if kind in INDEXES:
        entries = _list(document, "manifests")
        return Index(kind, tuple(_descriptor(entry, "manifests") for entry in entries))
    layers = tuple(_descriptor(entry, "layers") for entry in _list(document, "layers"))
    if len(layers) > _MOST_LAYERS:
        raise _bad("manifest", f"it has {len(layers)} layers, more than {_MOST_LAYERS}")
    return Manifest(kind, _descriptor(document.get("config"), "config"), layers)


def _kind(document: Json, expected: str) -> str:
    said = document.get("mediaType")
    if said is not None and expected and said != expected:
        raise _bad("manifest", f"it says to be {str(said)[:100]!r} and came as {expected[:100]!r}")
    if "manifests" in document and ("layers" in document or "config" in document):
        raise _bad("manifest", "it is a manifest and an index at once")
    kind = said or expected or (OCI_INDEX if "manifests" in document else OCI_MANIFEST)
    if not isinstance(kind, str) or kind not in MANIFESTS | INDEXES:
        raise _bad("manifest", f"its kind is not supported: {str(kind)[:100]!r}")
    if (kind in INDEXES) != ("manifests" in document):
        raise _bad("manifest", f"its content is not that of {kind}")
    return kind


def parse_json(content: bytes, what: str) -> Json:
    """An object. Raises BadImage."""
    found = parse_value(content, what)
    if not isinstance(found, dict):
        raise _bad(what, "it is not a JSON object")
    return found


def parse_value(content: bytes, what: str) -> Any:  # noqa: ANN401 - JSON
    """Any JSON. Raises BadImage."""
    try:
        found = json.loads(content)
        check_depth(found)
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise _bad(what, f"it is not JSON: {error}") from None
    return found


def _list(document: Json, name: str) -> list[Any]:
    found = document.get(name) or []
    if not isinstance(found, list):
        raise _bad("manifest", f"{name} is not an array")
    return found


def _descriptor(entry: Any, where: str) -> Descriptor:  # noqa: ANN401 - JSON
    if not isinstance(entry, dict):
        raise _bad("manifest", f"{where} is not a descriptor")
    digest, size, kind = entry.get("digest"), entry.get("size"), entry.get("mediaType", "")
    if not is_digest(digest):
        raise _bad("manifest", f"{where} has no valid digest: {str(digest)[:100]!r}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST_BLOB:
        raise _bad("manifest", f"{where} has no valid size: {str(size)[:100]!r}")
    if not isinstance(kind, str):
        raise _bad("manifest", f"{where} has no valid mediaType")
    platform = entry.get("platform")
    return Descriptor(
        kind,
        str(digest),
        size,
        _texts(entry.get("annotations")),
        platform if isinstance(platform, dict) else None,
    )


def _texts(value: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    return (
        {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}
    )


# -- configs -------------------------------------------------------------------------------------------------

_LISTS = ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell")
_OBJECTS = ("ExposedPorts", "Volumes", "Labels")
_WORDS = ("User", "WorkingDir", "StopSignal")


def parse_config(content: bytes) -> Json:
    """An image configuration whose fields have the types that others rely on. Raises BadImage."""
    document = parse_json(content, "config")
    if "manifests" in document or "layers" in document:
        raise _bad("config", "it is a manifest")
    for name in ("architecture", "os", "variant", "created", "author", "comment"):
        _check(document, name, str)
    _check(document, "config", dict)
    _check(document, "history", list)
    if not all(isinstance(step, dict) for step in document.get("history") or []):
        raise _bad("config", "history is not an array of objects")
    if not all(map(is_digest, diff_ids(document))):
        raise _bad("config", "rootfs.diff_ids is not an array of digests")
    _check_inner(document.get("config") or {})
    return document


def diff_ids(config: Json) -> list[str]:
    """The digests of the layers' uncompressed archives, the lowest first. Raises BadImage."""
    rootfs = config.get("rootfs")
    found = rootfs.get("diff_ids", []) if isinstance(rootfs, dict) else None
    if not isinstance(found, list):
        raise _bad("config", "it has no rootfs.diff_ids")
    return found


def created_ns(config: Json) -> int | None:
    """When the image says it was made, in nanoseconds since the epoch, not before that; None if it does not say."""
    try:
        made = datetime.fromisoformat(str(config.get("created")))
    except ValueError:
        return None
    return max(0, int((made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()) * 10**9)


def _check_inner(inner: Json) -> None:
    for name in _LISTS:
        _check(inner, name, list)
        if not all(isinstance(word, str) for word in inner.get(name) or []):
            raise _bad("config", f"{name} is not an array of strings")
    for name in _OBJECTS:
        _check(inner, name, dict)
    for name in _WORDS:
        _check(inner, name, str)
    if not all(isinstance(value, str) for value in (inner.get("Labels") or {}).values()):
        raise _bad("config", "a label is not a string")


def _check(document: Json, name: str, kind: type) -> None:
    value = document.get(name)
    if value is not None and not isinstance(value, kind):
        raise _bad("config", f"{name} is of the wrong type")


def _bad(what: str, cause: str) -> BadImage:
    return BadImage(f"cannot use the image's {what}: {cause}")
