"""User namespaces: made before the first run, held for the next ones, and what is mounted with their ids.

A run's process is born in the container's user namespace (keeper/births.py). That is there before, since layers and
volumes are shown with its ids from outside: nobody inside has the right to that.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import NamedTuple

from pysup.supervisor.engine.containers import nested_ids
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.space_sharing import joined_user
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import StartFailed
from pysup.supervisor.kernel.own_ids import own_map
from pysup.supervisor.kernel.process import CLONE_NEWUSER
from pysup.supervisor.runtime import layers, plan, sharing
from pysup.supervisor.runtime.launch import StdioPlan, launch
from pysup.supervisor.spec.container import ContainerSpec, Namespaces
from pysup.supervisor.spec.id_maps import IdMap


@asynccontextmanager
async def user_namespace(parts: Parts, record: Record, key: str) -> AsyncIterator[int | None]:
    """A descriptor of the container's user namespace, to be used within the block; None: it has the host's.

    ``key``: of the run; raises StartFailed, Conflict. With --rm there is no later run to hold it for. One that is
    another container's is kept like one's own: it has the same ids as that one's next.
    """
    spaces, held = record.spec.namespaces, HeldNamespaces(parts.link, record.id)
    if spaces.user == "host":
        yield None
    elif "user" in held.fds:
        yield held.fds["user"]
    elif spaces.user_of:
        with joined_user(parts, record) as theirs:
            if not record.spec.auto_remove:
                await held.add({"user": os.dup(theirs)})
            yield theirs
    else:
        namespace = await new_namespace(parts, f"container {record.row.name}", f"user/{key}", spaces)
        if record.spec.auto_remove:
            with closing(namespace):
                yield namespace
        else:
            await held.add({"user": namespace})
            yield namespace


async def new_namespace(parts: Parts, what: str, key: str, spaces: Namespaces) -> int:
    """Make one, with its maps, by a process that ends; a descriptor, the caller's. Raises StartFailed."""
    helper = await launch(
        parts.link,
        what=what,
        key=key,
        flags=CLONE_NEWUSER,
        plan=[["user_namespace"], ["ready"]],
        stdio=StdioPlan(),
        uid_map=plan.map_text(nested_ids.split(plan.uid_maps(spaces), own_map("uid"))),
        gid_map=plan.map_text(nested_ids.split(plan.gid_maps(spaces), own_map("gid"))),
    )
    await helper.ready()
    try:
        return os.open(f"/proc/{helper.process.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        await helper.abort()


@contextmanager
def closing(fd: int) -> Iterator[int]:
    """Close it after the block."""
    try:
        yield fd
    finally:
        os.close(fd)


class Shown(NamedTuple):
    """What comes as mounts of its own to a start."""

    attached: dict[str, int]
    """Descriptors by name."""
    idmapped: bool
    """As in Facts."""
    mapped: tuple[tuple[str, str], ...]
    """As in Facts."""


@contextmanager
def shown(spec: ContainerSpec, facts: plan.Facts, user: int | None) -> Iterator[Shown]:
    """Layers and volumes of one start, with the ids of ``user`` where the kernel can show them.

    Where it cannot, layers show the host's ids, unless the container's range is its own alone: such a container could
    do nothing, save in the host image without root, where they are nobody's in any case. Raises OSError, CannotMap,
    BadRequest.
    """
    with ExitStack() as stack:
        idmapped, attached = _layers(spec, facts, user, stack)
        trees = {**_volumes(spec, facts.volumes, user, stack), **stack.enter_context(sharing.shared(spec))}
        names = {target: f"tree{number}" for number, target in enumerate(trees)}
        attached |= {names[target]: fd for target, fd in trees.items()}
        yield Shown(attached, idmapped, tuple(names.items()))


def _layers(
    spec: ContainerSpec, facts: plan.Facts, user: int | None, stack: ExitStack
) -> tuple[bool, dict[str, int]]:
    if user is not None:
        try:
            return True, stack.enter_context(layers.detached(spec, facts, user=user))
        except layers.CannotMap:
            if spec.namespaces.user_auto and not (facts.machine.skeleton and plan.is_host_image(spec)):
                raise
    return False, stack.enter_context(layers.detached(spec, facts))


def _volumes(
    spec: ContainerSpec, volumes: tuple[plan.Shown, ...], user: int | None, stack: ExitStack
) -> dict[str, int]:
    wanted = plan.mapped_mounts(spec, volumes)
    if user is None or not wanted:
        return {}
    try:
        return stack.enter_context(layers.mapped(wanted, user))
    except layers.CannotMap:
        if spec.namespaces.user_auto or any(mount.idmap for mount in spec.mounts):
            raise
        return {}


_ANY = Namespaces(user="private", uid_maps=(IdMap(0, 1, 1),))


async def maps_volumes(parts: Parts, spec: ContainerSpec, container_id: str) -> bool:
    """Whether the volumes of a container will be shown with its own ids."""
    if spec.namespaces.user == "host":
        return False
    return not await why_unmappable(parts, f"volumes/{container_id}", [parts.settings.volumes_dir])


async def why_unmappable(parts: Parts, key: str, paths: list[str]) -> str:
    """Why one of these paths cannot be shown with other ids; empty: all can."""
    try:
        namespace = await new_namespace(parts, "a user namespace", f"user/{key}", _ANY)
    except StartFailed as error:
        return str(error)
    with closing(namespace):
        return next(filter(None, (layers.why_unmappable(path, namespace) for path in paths)), "")
