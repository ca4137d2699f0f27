"""The container's root: its layers below a write layer; in the host image so is each further file system."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from pysup.supervisor.runtime.plan.facts import Below, Facts, Step
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.spec.container import ContainerSpec

LAYER = "layer"
"""The descriptor of a detached mount of the lower layer; ``layer0`` and so on are those of further ones."""
_LONGEST_NAME = 128
_WHOLE = ("redirect_dir=nofollow", "metacopy=off")
"""Whatever the kernel's defaults: a write layer says all by itself, so commit and diff need nothing else. It is so
with userxattr anyway (kernel: filesystems/overlayfs)."""


class _Overlay(NamedTuple):
    """One overlay of a root."""

    name: str
    """Of the detached mount that its lower layer comes as, if it does."""
    lower: tuple[str, ...]
    """Host paths."""
    directory: str
    """Relative to the container's: where upper/ work/ lower/ are."""
    where: dict[str, Any]
    """Arguments of the step that say what it is mounted on."""


def root_steps(spec: ContainerSpec, facts: Facts, sources: Sources, *, lasting: bool = True) -> list[Step]:
    """Mount everything and go there. Not ``lasting``: outside of the user namespace, to be mounted again."""
    directory = sources.name(facts.directory)
    target = f"{directory}/rootfs"
    keeps = lasting and spec.namespaces.user == "host" and not spec.auto_remove
    steps: list[Step] = []
    for overlay in _overlays(spec, facts, target):
        kept, where = f"kept-{overlay.name}", dict(overlay.where)
        if kept in facts.kept:
            steps.append(["reuse", kept, where])
        else:
            steps += _mount(overlay, spec, directory, sources, lasting=lasting)
        steps += [["enter", target]] if overlay.name == LAYER else []
        steps += [["keep", kept, where]] if keeps else []
    return steps


def _mount(
    overlay: _Overlay, spec: ContainerSpec, directory: str, sources: Sources, *, lasting: bool
) -> list[Step]:
    layers = directory + overlay.directory
    detached = lasting and needs_detached_layer(spec)
    options = {
        "lower": [f"{layers}/lower"] if detached else [sources.name(layer) for layer in overlay.lower],
        "upper": f"{layers}/upper",
        "work": f"{layers}/work",
        **overlay.where,
        "volatile": spec.auto_remove and lasting,
        "options": ["userxattr"] if spec.namespaces.user == "private" else list(_WHOLE),
    }
    attached: list[Step] = [["attach", overlay.name, f"{layers}/lower"]] if detached else []
    return [*attached, ["overlay", options]]


def _overlays(spec: ContainerSpec, facts: Facts, target: str) -> Iterator[_Overlay]:
    yield _Overlay(LAYER, spec.rootfs.lower, "", {"target": target})
    for number, (point, flags) in enumerate(facts.below):
        where = {"at": point, "flags": flags}
        yield _Overlay(f"{LAYER}{number}", (point,), "/" + mount_directory(point), where)


def detached_layers(spec: ContainerSpec, below: Sequence[Below]) -> dict[str, str]:
    """Which lower layers must come as mounts of their own: host path by name (runtime/layers.py)."""
    if not needs_detached_layer(spec):
        return {}
    further = {f"{LAYER}{number}": one.point for number, one in enumerate(below)}
    return {LAYER: spec.rootfs.lower[0], **further}


def needs_detached_layer(spec: ContainerSpec) -> bool:
    """Whether the lower layer is one that a user namespace would find full of locked mounts."""
    return spec.namespaces.user == "private" and len(spec.rootfs.lower) == 1


def mount_directory(point: str) -> str:
    """Where the write layer of a further file system lies, below the container's directory."""
    name = quote(point.strip("/"), safe="")
    return "mounts/" + (name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest())
