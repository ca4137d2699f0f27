"""The container's root: its layers below a write layer; in the host image so is each further file system."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from pysup.supervisor.runtime.plan import namespaces
from pysup.supervisor.runtime.plan.base import is_confined, is_host_image
from pysup.supervisor.runtime.plan.facts import Below, Facts, Step
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.spec.container import ContainerSpec, Mount

LAYER = "layer"
"""The descriptor of a detached mount of the lower layer; ``layer0`` and so on are those of further ones."""
_LONGEST_NAME = 128
MOST_KEPT = 16
"""Overlays of one container: their descriptors travel in one packet."""
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
    target = root_target(spec, facts, sources)
    keeps = lasting and not spec.auto_remove and not needs_preparation(spec, idmapped=facts.idmapped)
    keeps = keeps and len(facts.below) < MOST_KEPT
    steps: list[Step] = []
    for overlay in _overlays(spec, facts.below, target, facts.machine.skeleton):
        kept, where = f"kept-{overlay.name}", dict(overlay.where)
        if kept in facts.kept:
            steps.append(["reuse", kept, where])
        else:
            steps += _mount(overlay, spec, facts, sources, lasting=lasting)
        steps += [["enter", target]] if overlay.name == LAYER else []
        steps += [["keep", kept, where]] if keeps else []
    return steps


def root_target(spec: ContainerSpec, facts: Facts, sources: Sources) -> str:
    """Where the root is mounted: a host path."""
    return f"{sources.name(facts.directory)}/rootfs" if spec.namespaces.user == "private" else facts.stage


def _ground(overlay: _Overlay, spec: ContainerSpec, facts: Facts) -> tuple[str, ...]:
    """What the container's mounts lie on, below all layers: where an image has no /proc, none need be made.

    The machine's own root has them all; and what is there belongs to the host's root.
    """
    needed = overlay.name == LAYER and spec.namespaces.user == "host" and not is_host_image(spec)
    return (facts.ground,) if needed and facts.ground else ()


def _mount(
    overlay: _Overlay, spec: ContainerSpec, facts: Facts, sources: Sources, *, lasting: bool
) -> list[Step]:
    layers = sources.name(facts.directory) + overlay.directory
    lower = (*overlay.lower, *_ground(overlay, spec, facts))
    detached = list(_detached(overlay, spec, idmapped=facts.idmapped)) if lasting or facts.idmapped else []
    options = {
        "lower": [_place_of(layer, layers, detached) or sources.name(layer) for layer in lower],
        "upper": f"{layers}/upper",
        "work": f"{layers}/work",
        **overlay.where,
        "volatile": spec.auto_remove and lasting,
        "options": ["userxattr"] if is_confined(spec.namespaces, facts) else list(_WHOLE),
    }
    return [*(["attach", one.name, f"{layers}/{one.place}"] for one in detached), ["overlay", options]]


def layers_of(spec: ContainerSpec, skeleton: str) -> tuple[str, ...]:
    """The lower layers, topmost first; ``skeleton`` as in Machine."""
    return tuple(skeleton if skeleton and path == "/" else path for path in spec.rootfs.lower)


def _overlays(spec: ContainerSpec, below: Sequence[Below], target: str, skeleton: str) -> Iterator[_Overlay]:
    yield _Overlay(LAYER, layers_of(spec, skeleton), "", {"target": target})
    for number, (point, flags) in enumerate(below):
        where = {"at": point, "flags": flags}
        yield _Overlay(f"{LAYER}{number}", (point,), "/" + mount_directory(point), where)


class _Detached(NamedTuple):
    """A lower layer, or a directory with layers, that comes as a mount of its own (runtime/layers.py)."""

    name: str
    """Of the descriptor."""
    place: str
    """Where it is attached, relative to the container's directory or that of a further file system."""
    top: str
    """Host path."""


def detached_layers(
    spec: ContainerSpec, below: Sequence[Below], *, idmapped: bool, skeleton: str = ""
) -> dict[str, str]:
    """Host path by name of descriptor; ``skeleton`` as in Machine."""
    overlays = _overlays(spec, below, "", skeleton)
    return {one.name: one.top for each in overlays for one in _detached(each, spec, idmapped=idmapped)}


def _detached(overlay: _Overlay, spec: ContainerSpec, *, idmapped: bool) -> Iterator[_Detached]:
    """In a user namespace all mounts below ``/`` are locked, and files belong to nobody: there a layer is a mount.

    The layers of an image are one mount, that of their directory: a packet has room for few descriptors. Only the
    container's root can search that directory, so without its ids they are named one by one.
    """
    if spec.namespaces.user != "private" or not (idmapped or len(overlay.lower) == 1):
        return
    if len(overlay.lower) == 1:
        yield _Detached(overlay.name, "lower", overlay.lower[0])
        return
    if "/" in overlay.lower:
        yield _Detached(overlay.name, "lower", "/")
    stored = posixpath.commonpath([path for path in overlay.lower if path != "/"])
    yield _Detached(f"{overlay.name}-stored", "layers", stored)


def _place_of(path: str, layers: str, detached: Sequence[_Detached]) -> str:
    """Where a layer is once all are attached; empty: none of them shows it."""
    for one in reversed(detached):
        if path == one.top or (path.startswith(f"{one.top}/") and one.place == "layers"):
            return posixpath.join(layers, one.place, path[len(one.top) :].lstrip("/")).rstrip("/")
    return ""


def needs_preparation(spec: ContainerSpec, *, idmapped: bool) -> bool:
    """Whether mount targets lie where the container's root, somebody else on the host, can make nothing.

    That is in a layer, unless it is mapped; or in a directory of the host that is mounted there.
    """
    if namespaces.root_ids(spec.namespaces) == (0, 0):
        return False
    targets = [*(mount.target for mount in spec.mounts), *(secret.target for secret in spec.secrets)]
    return not idmapped or any(_lies_in_a_bind(target, spec.mounts) for target in targets)


def _lies_in_a_bind(target: str, mounts: Sequence[Mount]) -> bool:
    return any(one.kind == "bind" and target.startswith(f"{one.target}/") for one in mounts)


def mount_directory(point: str) -> str:
    """Where the write layer of a further file system lies, below the container's directory."""
    name = quote(point.strip("/").encode("utf-8", "surrogateescape"), safe="")
    return "mounts/" + (name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest())
