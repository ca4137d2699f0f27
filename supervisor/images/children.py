"""Documents of an image that is another one with a layer on top: what commit and build make. Pure.

Sources: OCI image-spec (config.md, manifest.md), moby daemon/commit.go and image/image.go (NewChildImage).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pysup.supervisor.images.content import Blob
from pysup.supervisor.images.documents import OCI_LAYER, OCI_MANIFEST, Json, diff_ids
from pysup.supervisor.images.layers import Layer
from pysup.supervisor.images.making import encode, manifest_of
from pysup.supervisor.images.write_layers import Written

MANIFEST = OCI_MANIFEST
"""The kind of manifest that children have, whatever that of the parent is."""
_FIELDS = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"),
    *("Healthcheck", "OnBuild", "Shell", "ArgsEscaped"),
)
"""Of a container's configuration, what an image has, too (config.md)."""
_DOCKER_LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar": OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": f"{OCI_LAYER}+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": f"{OCI_LAYER}+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": (
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    ),
}
"""The same in OCI's words: one manifest is not to mix the two."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What the new image begins with; empty for one from nothing."""

    config: Json
    """The whole configuration; of one from nothing: architecture and os."""
    layers: tuple[Layer, ...] = ()
    """The lowest first, as many as the configuration's diff_ids."""
    blobs: tuple[tuple[Blob, str], ...] = ()
    """Those of the layers, each with its media type."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the image's history."""

    created: str
    """RFC 3339."""
    created_by: str = ""
    """The command that the container ran."""
    author: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Child:
    """The new image's documents, and its layers, the lowest first."""

    config: bytes
    manifest: bytes
    layers: tuple[Layer, ...] = field(default=())


def child_of(parent: Parent, config: Mapping[str, Any], step: Step, written: Written | None) -> Child:
    """The image of ``parent`` with one more step. ``config``: the inner one (Env, Cmd, …), as a container has it.

    ``written`` is None for a step that changes no file: the image has no more layers then.
    """
    layers = parent.layers + ((written.layer,) if written else ())
    blobs = parent.blobs + (((written.blob, written.media_type),) if written else ())
    document = encode(_document(parent, config, step, written))
    manifest = manifest_of(document, [(blob, _DOCKER_LAYERS.get(kind, kind)) for blob, kind in blobs])
    return Child(document, encode(manifest), layers)


def _document(parent: Parent, config: Mapping[str, Any], step: Step, written: Written | None) -> Json:
    known = diff_ids(parent.config) if parent.config.get("rootfs") else []
    return {
        **parent.config,
        "created": step.created,
        "author": step.author,
        "comment": step.comment,
        "config": {name: config[name] for name in _FIELDS if config.get(name)},
        "rootfs": {"type": "layers", "diff_ids": known + ([written.layer.diff_id] if written else [])},
        "history": [*_history(parent.config, known), _line(step, empty=written is None)],
    }


def _history(parent: Json, known: list[str]) -> list[Json]:
    """An image whose layers have no history gets one: each layer needs its line."""
    found = list(parent.get("history") or [])
    missing = len(known) - sum(not line.get("empty_layer") for line in found)
    return found + [{} for _ in range(missing)]


def _line(step: Step, *, empty: bool) -> Json:
    line: Json = {"created": step.created}
    named = {"created_by": step.created_by, "author": step.author, "comment": step.comment}
    line |= {name: text for name, text in named.items() if text}
    return line | ({"empty_layer": True} if empty else {})
