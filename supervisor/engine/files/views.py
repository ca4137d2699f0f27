"""A container's root from outside, whatever state it is in: a descriptor, below which everything is looked up.

Of one that runs, a helper has entered the mount namespace, so what is mounted in it is seen as inside. Of one that
rests, the helper has mounted layers and volumes in a mount namespace of its own; the overlay is kept for the next run
(kept_layers.py), which may begin meanwhile. Either way nothing runs or is loaded there: the helper waits, and the
engine works through ``/proc/PID/cwd`` of it.
"""

from __future__ import annotations

import os
import secrets
import select
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

import trio

from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.kept_layers import close_all
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.states import ALIVE, State
from pysup.supervisor.engine.containers.user_namespaces import new_namespace, shown
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.volumes.uses import sources
from pysup.supervisor.errors import NotFound, StartFailed
from pysup.supervisor.kernel.files import duplicate
from pysup.supervisor.kernel.process import CLONE_NEWNS
from pysup.supervisor.runtime import plan, rootfs
from pysup.supervisor.runtime.launch import Launched, StdioPlan, launch
from pysup.supervisor.runtime.plan import Facts, Step

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


Happenings = trio.MemoryReceiveChannel[Happening]


class View(NamedTuple):
    """Descriptors of directories, good until the end of the block."""

    root: int
    further: Mapping[str, int] = {}
    """Further file systems of the host image by their mount points, where ``root`` does not show them."""


@asynccontextmanager
async def whole(parts: Parts, container: Container) -> AsyncIterator[View]:
    """The root with all that is mounted in it. Raises NotFound, StartFailed, Unavailable."""
    async with _viewed(parts, container, volumes=True) as view:
        yield view


@asynccontextmanager
async def layers_alone(parts: Parts, container: Container) -> AsyncIterator[View]:
    """The root without volumes and other mounts: what is exported. Raises as whole()."""
    async with _viewed(parts, container, volumes=False) as view:
        yield view


@asynccontextmanager
async def _viewed(parts: Parts, container: Container, *, volumes: bool) -> AsyncIterator[View]:
    with container.looked_at():
        async with AsyncExitStack() as stack:
            view = None
            while view is None:
                with parts.news.subscribe(container.record.id) as happenings:
                    view = await _found(parts, container, stack, happenings, volumes=volumes)
            yield view


async def _found(
    parts: Parts, container: Container, stack: AsyncExitStack, happenings: Happenings, *, volumes: bool
) -> View | None:
    """None: it has been started or has ended meanwhile, and its state says so by now."""
    await _settled(container, happenings)
    if container.record.state not in ALIVE:
        return await _assemble(parts, container, stack, volumes=volumes)
    view = await _visit(parts, container, stack, volumes=volumes)
    if view is None:  # until the end of the process is committed, which a loop without a wait would keep off
        await happenings.receive()
    return view


async def _settled(container: Container, happenings: Happenings) -> None:
    """Until it is not just being started."""
    while container.record.state is State.STARTING:
        await happenings.receive()
    if container.record.state is State.REMOVED:
        name = container.record.row.name
        raise NotFound(f"cannot find container {name}: No such container: {name}")


def facts_at_rest(parts: Parts, container: Container, kept: Mapping[str, int]) -> Facts:
    """What a plan needs to know for the files alone."""
    record = container.record
    return Facts(
        machine=parts.machine,
        directory=parts.settings.container_dir(record.id),
        below=parts.filesystems.below() if plan.is_host_image(record.spec) else (),
        hidden=(parts.settings.root, parts.settings.run),
        hidden_files=parts.settings.key_files,
        volumes=sources(parts, record.spec),
        kept=tuple(kept),
        stage=parts.settings.stage,
        ground=parts.settings.ground,
    )


# -- of one that runs ----------------------------------------------------------------------------------------


async def _visit(parts: Parts, container: Container, stack: AsyncExitStack, *, volumes: bool) -> View | None:
    """None: it has ended meanwhile."""
    process = None if container.run is None else container.run.process
    if process is None or process.status is not None:
        return None
    facts = facts_at_rest(parts, container, {})
    steps = plan.build_visit() if volumes else plan.build_copy_of_root(container.record.spec, facts)
    with duplicate(process.pidfd) as target:
        try:
            helper = await _helper(parts, container, stack, steps=steps, attach={plan.TARGET: target})
        except StartFailed:
            if not _has_ended(target):
                raise
            return None
    if volumes:
        return View(_opened(helper, stack))
    kept = helper.give_kept()
    stack.callback(close_all, list(kept.values()))
    points = plan.further(container.record.spec, facts)
    return View(kept[plan.LAYER], {points[name]: fd for name, fd in kept.items() if name in points})


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


async def _helper(
    parts: Parts,
    container: Container,
    stack: AsyncExitStack,
    *,
    steps: list[Step],
    attach: Mapping[str, int],
    flags: int = 0,
) -> Launched:
    """At "ready"; it ends with the stack."""
    helper = await launch(
        parts.link,
        what=f"a look at container {container.record.row.name}",
        key=f"files/{secrets.token_hex(8)}",
        flags=flags,
        plan=steps,
        stdio=StdioPlan(),
        attach=dict(attach),
    )
    stack.push_async_callback(helper.abort)
    await helper.ready()
    return helper


def _opened(helper: Launched, stack: AsyncExitStack) -> int:
    root = os.open(f"/proc/{helper.process.pid}/cwd", _DIRECTORY)
    stack.callback(os.close, root)
    return root


# -- of one that rests ---------------------------------------------------------------------------------------


async def _mounted(
    parts: Parts, container: Container, stack: AsyncExitStack, taken: Mapping[str, int], *, volumes: bool
) -> Launched:
    """All mounted; in a user namespace, with its ids (engine/containers/user_namespaces.py)."""
    spec, facts = container.record.spec, facts_at_rest(parts, container, taken)
    async with _user_namespace(parts, container) as user:
        if user is not None:
            rootfs.make_sources(spec)
        with shown(spec, facts, user) as found:
            facts = replace(facts, idmapped=found.idmapped, mapped=found.mapped)
            rootfs.renew(facts.directory, spec, facts.below, idmapped=found.idmapped)
            return await _helper(
                parts,
                container,
                stack,
                steps=plan.build_at_rest(spec, facts, volumes=volumes),
                attach={**taken, **found.attached},
                flags=CLONE_NEWNS,
            )


@asynccontextmanager
async def _user_namespace(parts: Parts, container: Container) -> AsyncIterator[int | None]:
    """What is held for the next run, or one like it for this look alone."""
    spaces, held = container.record.spec.namespaces, HeldNamespaces(parts.link, container.record.id)
    if spaces.user == "host" or "user" in held.fds:
        yield held.fds.get("user")
        return
    what = f"a look at container {container.record.row.name}"
    namespace = await new_namespace(parts, what, f"user/{secrets.token_hex(8)}", spaces)
    try:
        yield namespace
    finally:
        os.close(namespace)


async def _assemble(
    parts: Parts, container: Container, stack: AsyncExitStack, *, volumes: bool
) -> View | None:
    """None: it has been started meanwhile.

    Where no overlay can outlive a process (--rm, user namespaces), a start waits until the look is over.
    """
    layers = container.layers
    async with AsyncExitStack() as setting_up:
        taken = await setting_up.enter_async_context(layers.alone())
        try:
            if container.record.state in {*ALIVE, State.REMOVED}:
                layers.keep(taken)
                return None
            helper = await _mounted(parts, container, stack, taken, volumes=volumes)
        except BaseException:
            with trio.CancelScope(shield=True):  # a mount can be taken into another process only once
                await layers.drop(taken)
            raise
        close_all(taken.values())  # the helper has the same overlays
        kept = helper.give_kept()
        if kept:
            layers.keep(kept)
        else:
            await stack.enter_async_context(setting_up.pop_all())
        return View(_opened(helper, stack))
