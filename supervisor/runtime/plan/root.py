"""The container's root: its layers below a write layer; in the host image so is each further file system."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pysup.supervisor.runtime.plan.facts import Facts, Step
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.spec.container import ContainerSpec

LAYER = "layer"
"""The descriptor of a detached mount of the lower layer; ``layer0`` and so on are those of further ones."""
_LONGEST_NAME = 128


def root_steps(spec: ContainerSpec, facts: Facts, sources: Sources, *, lasting: bool = True) -> list[Step]:
    """Mount everything and go there. Not ``lasting``: outside of the user namespace, to be mounted again."""
    directory = sources.name(facts.directory)
    target = f"{directory}/rootfs"
    detached = lasting and needs_detached_layer(spec)
    steps: list[Step] = []
    for name, lower, layers, where in _overlays(spec, facts, sources):
        options = {
            "lower": [f"{layers}/lower"] if detached else lower,
            "upper": f"{layers}/upper",
            "work": f"{layers}/work",
            **where,
            "volatile": spec.auto_remove and lasting,
            "options": ["userxattr"] if spec.namespaces.user == "private" else [],
        }
        steps += [["attach", name, f"{layers}/lower"]] if detached else []
        steps += [["overlay", options], *([["enter", target]] if name == LAYER else [])]
    return steps


def _overlays(
    spec: ContainerSpec, facts: Facts, sources: Sources
) -> Iterator[tuple[str, list[str], str, dict[str, Any]]]:
    """The name of its detached mount, lower layers, the directory of upper/ work/ lower/, and the target."""
    directory = sources.name(facts.directory)
    yield (
        LAYER,
        [sources.name(layer) for layer in spec.rootfs.lower],
        directory,
        {"target": f"{directory}/rootfs"},
    )
    for number, point in enumerate(facts.below):
        layers = f"{directory}/{mount_directory(point)}"
        yield f"{LAYER}{number}", [sources.name(point)], layers, {"at": point}


def detached_layers(spec: ContainerSpec, below: tuple[str, ...]) -> dict[str, str]:
    """Which lower layers must come as mounts of their own: host path by name (runtime/layers.py)."""
    if not needs_detached_layer(spec):
        return {}
    return {LAYER: spec.rootfs.lower[0]} | {f"{LAYER}{number}": point for number, point in enumerate(below)}


def needs_detached_layer(spec: ContainerSpec) -> bool:
    """Whether the lower layer is one that a user namespace would find full of locked mounts."""
    return spec.namespaces.user == "private" and len(spec.rootfs.lower) == 1


def mount_directory(point: str) -> str:
    """Where the write layer of a further file system lies, below the container's directory."""
    name = quote(point.strip("/"), safe="")
    return "mounts/" + (name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest())
