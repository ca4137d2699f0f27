"""What an image has in the place of an empty volume is copied into it, before the container is there.

Layers are read as overlayfs shows them, in a mount namespace that is gone afterwards; a single one is read as it is.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

from pysup.store import volumes
from pysup.supervisor.engine.containers.user_namespaces import maps_volumes
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.volumes.uses import shown_volumes
from pysup.supervisor.kernel.files import closing
from pysup.supervisor.kernel.process import CLONE_NEWNS
from pysup.supervisor.runtime import plan
from pysup.supervisor.runtime.launch import StdioPlan, launch
from pysup.supervisor.spec.container import ContainerSpec, Volume
from pysup.supervisor.volumes.copying import Owners
from pysup.supervisor.volumes.filling import Image, Place

_NOT_OF_THE_MACHINE = ("/dev", "/proc", "/run", "/sys", "/tmp")  # noqa: S108 - paths in an image
"""What a container of the host image has anew."""


async def fill_volumes(parts: Parts, spec: ContainerSpec, container_id: str) -> None:
    """Fill the empty ones. Raises Unavailable (a full disk), StartFailed."""
    empty = [
        (mount, place)
        for mount, volume in shown_volumes(spec)
        if (place := _place_to_fill(parts, volume)) is not None
    ]
    if not empty:
        return
    on_host = _owners(spec)
    in_volumes = Owners() if await maps_volumes(parts, spec, container_id) else on_host
    async with _image(parts, spec, container_id) as image:
        for mount, place in empty:
            owners = on_host if place.is_host else in_volumes
            await parts.volumes.fill(place, image, mount.target, owners)


def _place_to_fill(parts: Parts, volume: Volume) -> Place | None:
    """None: there is something, or nothing is wanted."""
    row = volumes.get(parts.store.read(), volume.name)
    options = dict(volume.options) if row is None else row.options
    return parts.volumes.empty_place(volume.name, options) if volume.copy else None


def _owners(spec: ContainerSpec) -> Owners:
    """Where a volume shows the host's ids: those that the container's own are there."""
    if spec.namespaces.user == "host":
        return Owners()
    return Owners(plan.uid_maps(spec.namespaces), plan.gid_maps(spec.namespaces))


@asynccontextmanager
async def _image(parts: Parts, spec: ContainerSpec, container_id: str) -> AsyncIterator[Image]:
    if len(spec.rootfs.lower) > 1:
        async with _merged(parts, spec, container_id) as root:
            yield Image(root)
        return
    with _opened(spec.rootfs.lower[0]) as root:
        yield _single(parts, spec, root)


def _single(parts: Parts, spec: ContainerSpec, root: int) -> Image:
    """What pysup keeps is hidden where a directory of the host holds it; an image's own layer lies in there."""
    top = spec.rootfs.lower[0].rstrip("/") + "/"
    hidden = tuple(one for one in (parts.settings.root, parts.settings.run) if one.startswith(top))
    if not plan.is_host_image(spec):
        return Image(root, hidden)
    further = tuple(one.point for one in parts.filesystems.below())
    return Image(root, (*hidden, *_NOT_OF_THE_MACHINE), further)


@asynccontextmanager
async def _merged(parts: Parts, spec: ContainerSpec, container_id: str) -> AsyncIterator[int]:
    """The root of an overlay of all layers, which a helper has mounted for itself."""
    target = parts.settings.stage
    options = ["userxattr"] if parts.machine.rootless else []
    helper = await launch(
        parts.link,
        what=f"container {container_id[:12]}",
        key=f"copy-up/{container_id}",
        flags=CLONE_NEWNS,
        plan=[
            ["propagation", "private"],
            ["overlay", {"lower": list(spec.rootfs.lower), "target": target, "options": options}],
            ["enter", target],
            ["ready"],
        ],
        stdio=StdioPlan(),
    )
    await helper.ready()
    try:
        with _opened(f"/proc/{helper.process.pid}/cwd") as root:
            yield root
    finally:
        await helper.abort()


def _opened(path: str) -> AbstractContextManager[int]:
    return closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
