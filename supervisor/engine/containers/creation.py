"""Making a container: check everything, make its directories, then its row. A failure leaves nothing behind."""

from __future__ import annotations

import os
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from secrets import token_hex
from sqlite3 import Connection
from typing import Any, NamedTuple

import trio

from pysup.store import containers, images
from pysup.store.containers import Container as Row
from pysup.store.errors import Missing, NameTaken
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers import nested_ids
from pysup.supervisor.engine.containers.joined_modes import with_ids
from pysup.supervisor.engine.containers.record import Change, Record, Told
from pysup.supervisor.engine.containers.specs import DEFAULTS, image_of
from pysup.supervisor.engine.containers.user_mode import with_user_namespace
from pysup.supervisor.engine.images.feeding import WAITING
from pysup.supervisor.engine.images.images import Image
from pysup.supervisor.engine.networks.joining import (
    interfaces,
    join,
    port_warnings,
    settled,
    wanted_endpoints,
)
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.secrets.secrets import note_secrets
from pysup.supervisor.engine.volumes.copy_up import fill_volumes
from pysup.supervisor.engine.volumes.uses import (
    discard_volumes,
    held_volumes,
    make_volumes,
    note_volumes,
    objects_of,
)
from pysup.supervisor.errors import BadRequest, Conflict, NotFound, Unavailable
from pysup.supervisor.runtime import rootfs
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.spec.from_docker import CREATE, asked_root, normalise
from pysup.supervisor.spec.limits import with_pids_limit
from pysup.supervisor.spec.mounts import with_inherited
from pysup.supervisor.spec.names import check_name, random_name
from pysup.supervisor.spec.secrets import without_values

_ID = re.compile(r"[0-9a-f]{64}")


class Draft(NamedTuple):
    """A container that is checked and has its directories; it is there once ``change`` is committed."""

    record: Record
    change: Change
    warnings: list[str]

    @property
    def id(self) -> str:
        """The container's."""
        return self.record.id


async def draft(
    parts: Parts, body: dict[str, Any], name: str | None, caller: Caller, *, chosen: str = ""
) -> Draft:
    """Prepare a container from docker's create body; to be used in refusable(). ``chosen``: the id it shall have.

    Raises BadRequest, NotSupported, NotFound (the image), Unavailable (a controller, a full disk), Conflict.
    """
    container_id = _checked_id(parts, chosen) if chosen else token_hex(32)
    try:
        return await _draft(parts, body, check_name(name) if name else "", container_id, caller)
    except BaseException:
        parts.id_ranges.forget(container_id)
        raise


def _checked_id(parts: Parts, chosen: str) -> str:
    if not _ID.fullmatch(chosen):
        raise BadRequest(f"cannot create container: invalid id {chosen[:64]!r}: it is 64 hexadecimal digits")
    if containers.get(parts.store.read(), chosen) is not None:
        raise _id_taken(chosen)
    return chosen


def _id_taken(container_id: str) -> Conflict:
    return Conflict(f"cannot create container: the id {container_id} is taken")


async def _draft(parts: Parts, body: dict[str, Any], given: str, container_id: str, caller: Caller) -> Draft:
    asked = asked_root(body)
    body, given_secrets = without_values(body, container_id, CREATE)
    body = with_pids_limit(settled(parts, with_ids(parts, body)), _usual_pids(parts))
    body = with_inherited(CREATE, body, partial(objects_of, parts))
    image = await image_of(parts.images, asked)
    body = _with_root(body, image) if asked.directory else body
    body, ids, warnings = await with_user_namespace(parts, body, container_id, image.lower)
    wanted = normalise(body, image.config, container_id=container_id, lower=image.lower, defaults=DEFAULTS)
    parts.hierarchy.check(wanted.spec.resources)
    nested_ids.check(wanted.spec.namespaces)
    await _check_sources(wanted.spec)
    sealed = await parts.secrets.sealed(given_secrets)
    row = containers.draft(
        id=container_id,
        name=given,
        image_id=image.id,
        image_ref=asked.image,
        config=wanted.config,
        host_config=wanted.host_config,
        created_at=parts.now_ns(),
    )
    places = wanted_endpoints(parts, container_id, wanted.joined, interfaces(), row.created_at)
    warnings = (*warnings, *port_warnings(parts, wanted.spec.network, places))
    _make_directories(parts, wanted.spec, container_id)
    volumes = partial(
        note_volumes, spec=wanted.spec, container_id=container_id, caller=caller, now_ns=row.created_at
    )
    secrets = partial(
        note_secrets,
        wanted=wanted.spec.secrets,
        given=given_secrets,
        sealed=sealed,
        container_id=container_id,
    )
    insertion = Change(
        first=(partial(_insert, row=row), *ids, volumes, secrets, partial(join, wanted=places)),
        told=(Told("create", {}, caller),),
    )
    return Draft(Record(parts, row, wanted.spec), insertion, [*wanted.warnings, *image.warnings, *warnings])


def _usual_pids(parts: Parts) -> int:
    """How many processes a container may have that does not say; where nothing can be limited, nothing is."""
    return parts.settings.default_pids_limit if "pids" in parts.hierarchy.controllers else 0


def _insert(conn: Connection, row: Row) -> None:
    if row.image_id and images.get(conn, row.image_id) is None:
        raise NotFound(f"cannot create container: No such image: {row.image_ref}: it was removed just now")
    containers.insert(
        conn,
        id=row.id,
        name=row.name or _free_name(conn),
        image_id=row.image_id,
        image_ref=row.image_ref,
        config=row.config,
        host_config=row.host_config,
        created_at=row.created_at,
    )


@asynccontextmanager
async def refusable(parts: Parts, drafted: Draft, caller: Caller) -> AsyncIterator[None]:
    """While a draft is committed: one that is refused leaves nothing but named volumes, as with docker.

    Its volumes are there when the block begins. Raises Conflict for a taken name, and whatever a volume can fail with.
    Nobody can cancel it: a commit that was asked for comes, whoever has left meanwhile.
    """
    spec = drafted.record.spec
    try:
        with trio.CancelScope(shield=True), held_volumes(parts, spec):
            await make_volumes(parts, spec, drafted.id, caller)
            await fill_volumes(parts, spec, drafted.id)
            yield
    except Exception as error:
        if containers.get(parts.store.read(), drafted.id) is None:
            _discard_directories(parts, drafted.id)
            discard_volumes(parts, spec, drafted.id)
        if isinstance(error, Missing):
            raise Conflict(f"cannot create container: volume {error.ref} was removed meanwhile") from error
        if isinstance(error, NameTaken):
            name = drafted.record.row.name
            raise Conflict(
                f"cannot create container {name}: the name is taken by container {error.holder}"
            ) from error
        raise
    finally:
        parts.id_ranges.forget(drafted.id)


def _with_root(body: dict[str, Any], root: Image) -> dict[str, Any]:
    """With the directory by its real path: a row's is not looked up again."""
    host = body["HostConfig"]
    (real,) = root.lower
    return {**body, "HostConfig": {**host, "Pysup": {**host["Pysup"], "Rootfs": real}}}


def _free_name(conn: Connection) -> str:
    """A made-up name that nobody has; a digit goes behind it where the plain ones are taken, as docker does."""
    name = random_name(random.choice)
    while containers.by_name(conn, name) is not None:
        name = f"{random_name(random.choice)}{random.randrange(10_000)}"  # noqa: S311 - no secret
    return name


async def _check_sources(spec: ContainerSpec) -> None:
    """A bind source must be there (--mount), or is made at the start (-v).

    It may lie on a file server that does not answer.
    """
    for mount in spec.mounts:
        if mount.kind != "bind" or mount.create_source:
            continue
        if not await trio.to_thread.run_sync(
            os.path.lexists, mount.source, abandon_on_cancel=True, limiter=WAITING
        ):
            raise BadRequest(f"cannot create container: bind source path does not exist: {mount.source}")


def _make_directories(parts: Parts, spec: ContainerSpec, container_id: str) -> None:
    directory = parts.settings.container_dir(container_id)
    if os.path.lexists(directory):  # one with the same id, which was chosen for both, is being made
        raise _id_taken(container_id)
    try:
        if not parts.directories.take(directory):
            rootfs.make(directory)
        rootfs.furnish(directory, spec)
    except OSError as error:
        _discard_directories(parts, container_id)
        raise Unavailable(
            f"cannot create container: {error.filename or directory}: {error.strerror}"
        ) from error


def _discard_directories(parts: Parts, container_id: str) -> None:
    """What hinders that most likely refused the container, too: that is told, and the next start removes them."""
    with suppress(OSError):
        parts.trash.throw(parts.settings.container_dir(container_id))
