"""``commit``: an image of what a container has written, on top of the image that it was made from.

The write layer is copied while the processes stand still (the kernel copies, and shares blocks where it can); it is
archived when they run again. What is on disk becomes an image in one transaction, or is garbage to the next start.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from sqlite3 import Connection
from typing import Any

import trio

from pysup.store import images
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers import commands
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.record import Record, Told, add_event
from pysup.supervisor.engine.containers.states import State
from pysup.supervisor.engine.images.admission import Admission
from pysup.supervisor.engine.images.children import admit_child, parent_of
from pysup.supervisor.engine.images.feeding import told
from pysup.supervisor.engine.images.rows import Names
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import BadRequest, NotFound
from pysup.supervisor.images.changes import apply_changes
from pysup.supervisor.images.children import Parent, Step, child_of
from pysup.supervisor.images.write_layers import Rules, Stage, Written
from pysup.supervisor.runtime import plan
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.id_maps import IdMap
from pysup.supervisor.spec.merging import merge
from pysup.supervisor.spec.reference import Reference
from pysup.supervisor.spec.timestamps import rfc3339
from pysup.supervisor.volumes.copying import Owners

_VERB = "commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the new image is to be."""

    name: Reference | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of Config that are laid over the container's."""
    changes: Iterable[str] = ()
    """Dockerfile instructions."""
    author: str = ""
    message: str = ""
    pause: bool = True
    """Have the processes stand still while the files are copied."""


async def commit(parts: Parts, container: Container, wanted: Wanted, caller: Caller) -> str:
    """Make the image; its id. Raises BadRequest, NotFound, Conflict, Unavailable."""
    record = container.record
    _refuse(record)
    config = _config(record, wanted)
    try:
        async with parts.images.admissions.begin() as admission:
            parent = await parent_of(parts.store, admission, record.row.image_id)
            written = await _write(parts, admission, container, pause=wanted.pause, caller=caller)
            step = Step(rfc3339(parts.now_ns()), _command(record), wanted.author, wanted.message)
            child = child_of(parent, _with_kept(parent, config), step, written)
            names = Names((wanted.name,) if wanted.name else ())
            image_id = await admit_child(
                admission, child, names, _VERB, caller, also=partial(_note_parent, record.row.image_id)
            )
    except OSError as error:
        raise told(error, f"{_VERB} container {record.row.name}") from error
    await _tell(parts, record, image_id, wanted, caller)
    return image_id


def _note_parent(parent_id: str, conn: Connection, image_id: str) -> None:
    images.set_parent(conn, image_id, parent_id)


def _refuse(record: Record) -> None:
    name = record.row.name
    if not record.row.image_id:
        raise BadRequest(
            f"cannot {_VERB} container {name}: it was made of a directory, not of an image; export it instead"
        )
    if plan.is_host_image(record.spec):
        raise BadRequest(
            f"cannot {_VERB} container {name}: its image is the machine's own root; export it instead"
        )


# -- the files -----------------------------------------------------------------------------------------------


async def _write(
    parts: Parts, admission: Admission, container: Container, *, pause: bool, caller: Caller
) -> Written | None:
    directory = parts.settings.container_dir(container.record.id)
    in_thread = partial(trio.to_thread.run_sync, limiter=parts.disk)
    stage = await in_thread(Stage, admission.images_dir)
    try:
        async with standing_still(container, caller) if pause else _as_it_is():
            await in_thread(stage.copy, f"{directory}/upper")
        _refuse_if_removed(container.record)
        return await in_thread(admission.take, stage, rules_of(container.record.spec))
    finally:
        with trio.CancelScope(shield=True):
            await in_thread(stage.discard)


@asynccontextmanager
async def standing_still(container: Container, caller: Caller) -> AsyncIterator[None]:
    """While the block lasts no process of the container moves; afterwards they do, whatever happens."""
    with trio.CancelScope(shield=True):
        await container.ask(commands.Hold(caller))
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await container.ask(commands.Release(caller))


@asynccontextmanager
async def _as_it_is() -> AsyncIterator[None]:
    yield


def _refuse_if_removed(record: Record) -> None:
    """Its directory may have been emptied while it was copied: that is no layer then."""
    if record.state is State.REMOVED:
        raise NotFound(f"cannot {_VERB} container {record.row.name}: it was removed meanwhile")


def rules_of(spec: ContainerSpec) -> Rules:
    """How the write layer of a container is to be read."""
    spaces = spec.namespaces
    private = spaces.user == "private"
    owners = Owners(_inside(plan.uid_maps(spaces)), _inside(plan.gid_maps(spaces))) if private else Owners()
    return Rules(owners=owners, to_users=private, targets=plan.own_targets(spec))


def _inside(maps: Iterable[IdMap]) -> tuple[IdMap, ...]:
    """From the host's ids to the container's."""
    return tuple(IdMap(one.host, one.container, one.size) for one in maps)


# -- the configuration ---------------------------------------------------------------------------------------


def _config(record: Record, wanted: Wanted) -> dict[str, Any]:
    """What the changes say, laid over the container's own (moby daemon/commit.go)."""
    of_container = Fields(f"{_VERB} container {record.row.name}", json.loads(record.row.config))
    given = apply_changes(wanted.changes, {name: value for name, value in wanted.config.items() if value})
    merged = merge(Fields(f"{_VERB} container {record.row.name}", given), of_container)
    others = {name: given[name] for name in ("OnBuild", "Healthcheck", "Shell") if given.get(name)}
    health = of_container.raw("Healthcheck")
    return merged | ({"Healthcheck": health} if health else {}) | others


def _with_kept(parent: Parent, config: dict[str, Any]) -> dict[str, Any]:
    """What a container has from its image without having it in its own configuration."""
    inner = parent.config.get("config") or {}
    return {name: inner[name] for name in ("Shell", "Healthcheck") if inner.get(name)} | config


def _command(record: Record) -> str:
    return " ".join(json.loads(record.row.config).get("Cmd") or [])


# -- the event -----------------------------------------------------------------------------------------------


async def _tell(parts: Parts, record: Record, image_id: str, wanted: Wanted, caller: Caller) -> None:
    attributes = {
        "comment": wanted.message,
        "imageID": image_id,
        "imageRef": str(wanted.name) if wanted.name else "",
    }
    event = Told(_VERB, attributes, caller)
    write = partial(_add, now_ns=parts.now_ns(), record=record, event=event)
    await parts.store.write(write)
    record.publish(event)


def _add(conn: Connection, now_ns: int, record: Record, event: Told) -> None:
    add_event(conn, now_ns, record.row, event)
