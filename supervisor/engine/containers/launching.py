"""Gathers the facts of one start, has the plan made of them, and hands it to the keeper."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace

from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.space_sharing import foreign, joined_spaces
from pysup.supervisor.engine.containers.staged_child import StagedChild, asked_for, own_namespaces, stdio_of
from pysup.supervisor.engine.containers.user_namespaces import (
    closing,
    new_namespace,
    shown,
    user_namespace,
)
from pysup.supervisor.engine.networks.links import with_links
from pysup.supervisor.engine.networks.sharing import shared_network
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.secrets.secrets import as_file
from pysup.supervisor.engine.volumes.uses import sources
from pysup.supervisor.keeper.protocol import Order
from pysup.supervisor.kernel import inode_flags
from pysup.supervisor.kernel.files import duplicate
from pysup.supervisor.kernel.process import CLONE_NEWNS
from pysup.supervisor.kernel.terminal import set_window_size
from pysup.supervisor.runtime import plan, rootfs
from pysup.supervisor.runtime.asking import StdioPlan
from pysup.supervisor.runtime.cgroups.base import Cgroup
from pysup.supervisor.runtime.devices import HostNode
from pysup.supervisor.runtime.launch import Launched, launch
from pysup.supervisor.runtime.plan import Facts
from pysup.supervisor.runtime.seccomp.filters import Program
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.capabilities import DEFAULT
from pysup.supervisor.spec.container import ContainerSpec, Namespaces, Process

CHILDREN_AHEAD = 3
"""Of each stage: a megabyte each."""


async def default_filter(parts: Parts) -> None:
    """Make the filter of a container that asks for nothing special. Raises Unavailable."""
    await parts.filters.program("", tuple(plan.bounding(DEFAULT, Namespaces(), parts.machine)))


def make_directories(settings: Settings) -> None:
    """Make what all containers share below the daemon's root. Raises OSError."""
    os.makedirs(settings.stage, 0o700, exist_ok=True)
    rootfs.make_ground(settings.ground)
    os.makedirs(settings.containers_dir, exist_ok=True)
    inode_flags.spread(settings.containers_dir)


async def order_stages(parts: Parts) -> None:
    """Have children ready for containers that ask for nothing special, where they can join a cgroup later (v1)."""
    if parts.hierarchy.version == 1:
        facts = Facts(machine=parts.machine, directory="", stage=parts.settings.stage)
        for stage in plan.usual(facts):
            order = Order(stage.key, stage.flags, CHILDREN_AHEAD)
            await parts.link.order(order, json.dumps(stage.steps).encode())


async def _filter(parts: Parts, spec: ContainerSpec) -> Program | None:
    """The container's system call filter, for its own capabilities: that of its execs, too. Raises Unavailable."""
    bounding = plan.bounding(spec.process.capabilities, spec.namespaces, parts.machine)
    return await parts.filters.program(spec.security.seccomp, tuple(bounding))


def _attached(program: Program | None) -> dict[str, int]:
    return {} if program is None else {plan.SECCOMP: program.fd}


def _facts(
    parts: Parts,
    record: Record,
    cgroup: Cgroup,
    *,
    program: Program | None,
    devices: tuple[HostNode, ...],
    kept: tuple[str, ...],
) -> Facts:
    shows_machine = plan.is_host_image(record.spec)
    return Facts(
        machine=parts.machine,
        directory=parts.settings.container_dir(record.id),
        cgroup_tasks=tuple(cgroup.join_paths),
        cgroup_views=tuple(cgroup.views),
        below=parts.filesystems.below() if shows_machine else (),
        hidden=(parts.settings.root, parts.settings.run),
        hidden_files=parts.settings.key_files,
        seccomp=None if program is None else program.flags,
        volumes=sources(parts, record.spec),
        devices=devices,
        kept=kept,
        stage=parts.settings.stage,
        ground=parts.settings.ground,
    )


async def launch_run(
    parts: Parts,
    record: Record,
    *,
    key: str,
    cgroup: Cgroup,
    devices: tuple[HostNode, ...],
    kept: Mapping[str, int],
    early: StagedChild | None,
) -> Launched:
    """Clone the first process of a run, if no child was asked for; it works through its plan and waits for ``go``."""
    spec = with_links(parts.store.read(), record.row, record.spec)
    program = await _filter(parts, spec)
    values = await parts.secrets.values(spec.secrets) if spec.secrets else b""
    async with user_namespace(parts, record, key) as user:
        with (
            shared_network(parts, record) as shared,
            joined_spaces(parts, record) as others,
            _secrets(values) as given,
        ):
            own = own_namespaces(parts, record)
            theirs = {**shared, **others.spaces}
            facts = replace(
                _facts(parts, record, cgroup, program=program, devices=devices, kept=tuple(kept)),
                held=tuple(name for name in (*own, *theirs) if name != plan.DONOR),
                foreign=foreign(user, {**theirs, **others.processes}),
                donor_root=others.donor_root,
            )
            attach = {**own, **theirs, **others.memory, **kept, **_attached(program)}
            if early is not None:
                return await _told(early, parts, record, key, spec, facts, {**given, **attach})
            stage = plan.stage_of(spec, facts)
            if stage is not None:
                async with asked_for(parts, record, key, facts.held, stage, cgroup.fd) as asked:
                    told = StagedChild(asked, stage)
                    return await _told(told, parts, record, key, spec, facts, {**given, **attach})
            async with (
                _mounted(parts, record, key, facts, user, given) as (facts, attached),
                _every_id(parts, record, key, facts) as every_id,
            ):
                return await launch(
                    parts.link,
                    what=f"container {record.row.name}",
                    key=key,
                    flags=plan.clone_flags(spec, (*facts.held, plan.USER)),
                    plan=plan.build(spec, facts),
                    outside=plan.build_outside(spec, facts),
                    stdio=stdio_of(spec.process),
                    attach={**attach, **attached, **every_id},
                    cgroup_fd=cgroup.fd,
                    user=user,
                    target=others.pid,
                )


async def _told(  # noqa: PLR0917
    child: StagedChild,
    parts: Parts,
    record: Record,
    key: str,
    spec: ContainerSpec,
    facts: Facts,
    attach: Mapping[str, int],
) -> Launched:
    """Tell a child that waits for it what to do."""
    child.asked.what = what = f"container {record.row.name}"
    async with _mounted(parts, record, key, facts, None, {}) as (whole, attached):
        await child.asked.give(plan.build(spec, whole, child.stage), {**attach, **attached})
    process = await child.asked.made()
    return Launched(parts.link, what, process, child.asked.init, tty=spec.process.tty)


@asynccontextmanager
async def _every_id(parts: Parts, record: Record, key: str, facts: Facts) -> AsyncIterator[dict[str, int]]:
    """The ids that another container's memory is shown with to one that has the daemon's."""
    if plan.DONOR not in facts.foreign or record.spec.namespaces.user == "private":
        yield {}
        return
    what = f"container {record.row.name}"
    with closing(await new_namespace(parts, what, f"ids/{key}", Namespaces(user="private"))) as namespace:
        yield {plan.EVERY_ID: namespace}


@contextmanager
def _secrets(values: bytes) -> Iterator[dict[str, int]]:
    if not values:
        yield {}
        return
    with as_file(values) as fd:
        yield {plan.SECRETS: fd}


@asynccontextmanager
async def _mounted(  # noqa: PLR0917
    parts: Parts, record: Record, key: str, facts: Facts, user: int | None, given: Mapping[str, int]
) -> AsyncIterator[tuple[Facts, dict[str, int]]]:
    """The facts about layers and volumes, and the descriptors to attach; what lies below them is ready.

    ``user``: the user namespace; ``given``: descriptors that the plan names beside those.
    """
    spec = record.spec
    if user is not None:
        rootfs.make_sources(spec)
    with shown(spec, facts, user) as found:
        facts = replace(facts, idmapped=found.idmapped, mapped=found.mapped)
        rootfs.renew(facts.directory, spec, facts.below, idmapped=found.idmapped)
        if plan.needs_preparation(spec, idmapped=found.idmapped):
            await _prepare(parts, record, key, facts, user, given)
        yield facts, {**found.attached, **given}


async def _prepare(  # noqa: PLR0917
    parts: Parts, record: Record, key: str, facts: Facts, user: int | None, given: Mapping[str, int]
) -> None:
    """Make what the container's root may not: its mounts, made once by the host's, in a process that ends then."""
    with shown(record.spec, facts, user) as found:
        helper = await launch(
            parts.link,
            what=f"container {record.row.name}",
            key=f"prepare/{key}",
            flags=CLONE_NEWNS,
            plan=plan.build_preparation(record.spec, facts),
            stdio=StdioPlan(),
            attach={**found.attached, **given},
        )
        await helper.ready()
        await helper.abort()


async def launch_exec(
    parts: Parts, record: Record, *, target: int, cgroup: Cgroup, key: str, process: Process
) -> Launched:
    """Clone a further process in the namespaces of ``target`` (a pidfd) and in its cgroup.

    Both are the run's, which may end, and close them, as soon as this waits for anything.
    """
    with ExitStack() as stack:
        target = stack.enter_context(duplicate(target))
        group = None if cgroup.fd is None else stack.enter_context(duplicate(cgroup.fd))
        return await _launch_exec(parts, record, target, group, cgroup.join_paths, key, process)


async def _launch_exec(  # noqa: PLR0917
    parts: Parts,
    record: Record,
    target: int,
    cgroup: int | None,
    join_paths: Iterable[str],
    key: str,
    process: Process,
) -> Launched:
    program = await _filter(parts, record.spec)
    facts = Facts(
        machine=parts.machine,
        directory="",
        stage="",
        cgroup_tasks=tuple(join_paths),
        seccomp=None if program is None else program.flags,
    )
    return await launch(
        parts.link,
        what=f"exec in container {record.row.name}",
        key=key,
        flags=0,
        plan=plan.build_exec(process, record.spec, facts),
        stdio=stdio_of(process),
        attach=_attached(program),
        cgroup_fd=cgroup,
        target=target,
    )


def give_size(launched: Launched, process: Process) -> None:
    """Give a terminal the size that its client has, before the program looks; call it after ready()."""
    master = launched.stdio.master
    if master is not None and process.console_size != (0, 0):
        set_window_size(master, *process.console_size)
