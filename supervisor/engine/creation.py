"""Making a container: check everything, make its directories, then its row. A failure leaves nothing behind."""

from __future__ import annotations

import os
import random
import secrets
from sqlite3 import Connection
from typing import Any, NamedTuple

from pysup.store import containers
from pysup.store.containers import Container as Row
from pysup.store.errors import NameTaken
from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.record import Record, Told, add_event
from pysup.supervisor.engine.specs import DEFAULTS, image_of
from pysup.supervisor.errors import BadRequest, Conflict, Unavailable
from pysup.supervisor.runtime import rootfs
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.spec.from_docker import asked_root, container_spec, normalise
from pysup.supervisor.spec.names import check_name, random_name


class Created(NamedTuple):
    """What create() made."""

    record: Record
    warnings: list[str]

    @property
    def id(self) -> str:
        """The container's."""
        return self.record.id


async def create(parts: Parts, body: dict[str, Any], name: str | None, caller: Caller) -> Created:
    """Make a container from docker's create body.

    Raises BadRequest, NotSupported, NotFound (the image), Conflict (the name), Unavailable (a controller, a full
    disk).
    """
    given = check_name(name) if name else ""
    asked = asked_root(body)
    image = image_of(parts.images, asked)
    wanted = normalise(body, image.config, defaults=DEFAULTS)
    container_id = secrets.token_hex(32)
    spec = container_spec(
        wanted.config,
        wanted.host_config,
        container_id=container_id,
        lower=image.lower,
        defaults=DEFAULTS,
        verb=f"create container {given}".rstrip(),
    )
    parts.hierarchy.check(spec.resources)
    _check_sources(spec)

    def write(conn: Connection) -> Row:
        containers.insert(
            conn,
            id=container_id,
            name=given or _free_name(conn),
            image_id=image.id,
            image_ref=asked.image,
            config=wanted.config,
            host_config=wanted.host_config,
            created_at=now,
        )
        row = containers.get(conn, container_id)
        assert row is not None  # noqa: S101 - inserted above
        add_event(conn, now, row, Told("create", {}, caller))
        return row

    now = parts.now_ns()
    directory = parts.settings.container_dir(container_id)
    try:
        _make_directories(directory, spec)
        row = await parts.store.write(write)
    except BaseException as error:
        parts.trash.throw(directory)
        if isinstance(error, NameTaken):
            raise Conflict(
                f"cannot create container {given}: the name is taken by container {error.holder}"
            ) from error
        raise
    parts.news.publish(Happening("container", container_id, "create"))
    return Created(Record(parts, row, spec), wanted.warnings)


def _free_name(conn: Connection) -> str:
    """A made-up name that nobody has; a digit goes behind it where the plain ones are taken, as docker does."""
    name = random_name(random.choice)
    while containers.by_name(conn, name) is not None:
        name = f"{random_name(random.choice)}{random.randrange(10_000)}"  # noqa: S311 - no secret
    return name


def _check_sources(spec: ContainerSpec) -> None:
    """A bind source must be there (--mount), or is made at the start (-v)."""
    for mount in spec.mounts:
        if mount.kind == "bind" and not mount.create_source and not os.path.lexists(mount.source):
            raise BadRequest(f"cannot create container: bind source path does not exist: {mount.source}")


def _make_directories(directory: str, spec: ContainerSpec) -> None:
    try:
        rootfs.create(directory, spec)
    except OSError as error:
        raise Unavailable(
            f"cannot create container: {error.filename or directory}: {error.strerror}"
        ) from error
