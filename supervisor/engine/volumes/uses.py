"""The volumes of one container: made before it is, noted with its row, let go with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from sqlite3 import Connection
from typing import Any, Literal

from pysup.store import containers, volumes
from pysup.store.errors import Ambiguous, Missing
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.record import Aside, Record
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.volumes.volumes import insert, note
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.runtime.plan import Shown
from pysup.supervisor.spec.container import ContainerSpec, Mount, Volume
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.mounts import inheritable
from pysup.supervisor.spec.volumes import anonymous_name, source_of

Json = dict[str, Any]


def shown_volumes(spec: ContainerSpec) -> Iterator[tuple[Mount, Volume]]:
    """The mounts that are volumes."""
    return ((mount, mount.volume) for mount in spec.mounts if mount.volume is not None)


def own_volumes(spec: ContainerSpec, container_id: str) -> list[Volume]:
    """Those that come into being with the container: nobody has named them."""
    return [
        volume
        for mount, volume in shown_volumes(spec)
        if volume.name == anonymous_name(container_id, mount.target)
    ]


def objects_of(parts: Parts, ref: str) -> list[Json]:
    """What --volumes-from of a container brings. Raises BadRequest: 404 would mean the image to docker's clients."""
    try:
        row = containers.find(parts.store.read(), ref.removeprefix("/"))
    except Missing:
        raise BadRequest(f"cannot create container: --volumes-from {ref}: No such container: {ref}") from None
    except Ambiguous:
        raise BadRequest(f"cannot create container: --volumes-from {ref}: several ids begin so") from None
    verb = f"use the volumes of container {row.name}"
    config, host = Fields(verb, json.loads(row.config)), Fields(verb, json.loads(row.host_config))
    return inheritable(config, host, row.id)


def held_volumes(parts: Parts, spec: ContainerSpec) -> AbstractContextManager[None]:
    """Nobody removes them between make_volumes() and note_volumes()."""
    return parts.volumes.held([volume.name for _mount, volume in shown_volumes(spec)])


async def make_volumes(parts: Parts, spec: ContainerSpec, container_id: str, caller: Caller) -> None:
    """Make what is not there yet: named ones for good, the others' directories; their rows come with the container's.

    Raises BadRequest, NotFound, Unavailable.
    """
    own = own_volumes(spec, container_id)
    for volume in own:
        await parts.volumes.make_directory(volume.name)
    for _mount, volume in shown_volumes(spec):
        if volume not in own and not volume.anonymous:
            await parts.volumes.create(volume, caller)


def discard_volumes(parts: Parts, spec: ContainerSpec, container_id: str) -> None:
    """The container was refused: nobody will ever name these."""
    for volume in own_volumes(spec, container_id):
        parts.volumes.discard(volume.name)


def note_volumes(
    conn: Connection, spec: ContainerSpec, container_id: str, caller: Caller, now_ns: int
) -> None:
    """In the transaction that makes the container's row. Raises Missing for a volume that went meanwhile."""
    for volume in own_volumes(spec, container_id):
        insert(conn, volume, caller, now_ns)
    for mount, volume in shown_volumes(spec):
        volumes.use(
            conn,
            container_id=container_id,
            destination=mount.target,
            volume=volume.name,
            anonymous=volume.anonymous,
        )


def sources(parts: Parts, spec: ContainerSpec) -> tuple[Shown, ...]:
    """Where the volumes of a container are, for its plan."""
    conn = parts.store.read()
    found = {volume.name: volumes.get(conn, volume.name) for _, volume in shown_volumes(spec)}
    return tuple(
        Shown(name, parts.volumes.data(name), source_of(name, row.options))
        for name, row in found.items()
        if row is not None
    )


def tell_of(record: Record, action: Literal["mount", "unmount"]) -> tuple[Aside, ...]:
    """The events of its volumes at the beginning and the end of a run."""
    return tuple(
        partial(_tell, mount=mount, volume=volume, container_id=record.id, action=action)
        for mount, volume in shown_volumes(record.spec)
    )


def _tell(  # noqa: PLR0917 - what an Aside is given comes first
    conn: Connection, now_ns: int, mount: Mount, volume: Volume, container_id: str, action: str
) -> None:
    told = {"container": container_id, "driver": volume.driver}
    if action == "mount":
        writable = "false" if mount.read_only else "true"
        told |= {"destination": mount.target, "propagation": "", "read/write": writable}
    note(conn, volume.name, action, told, now_ns=now_ns)
