"""Run a spec as the engine does: its own cgroup and directories, the plan of runtime/plan, a real keeper."""

from __future__ import annotations

import contextlib
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from helpers.containers import Outcome, outcome
from helpers.keepers import CAPABILITIES, ENV

from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.runtime import layers, machine, plan, rootfs, trees
from pysup.supervisor.runtime.cgroups import detect
from pysup.supervisor.runtime.cgroups.base import Cgroup, Hierarchy
from pysup.supervisor.runtime.launch import Launched, StdioPlan, launch
from pysup.supervisor.spec.container import ContainerSpec, Process, Rootfs
from pysup.supervisor.spec.resources import Resources


def spec(*argv: str, process: dict[str, Any] | None = None, **changes: Any) -> ContainerSpec:
    """A container of the host image that executes argv with docker's capabilities."""
    own = Process(argv=argv, env=tuple(ENV), capabilities=tuple(CAPABILITIES), **(process or {}))
    return ContainerSpec(**{"hostname": "box", "process": own, "rootfs": Rootfs(("/",)), **changes})


@contextlib.contextmanager
def cgroup_parent() -> Iterator[tuple[Hierarchy, str]]:
    """A parent of a unique name, removed with all that is still below it."""
    hierarchy, parent = detect(), f"pysup-test-{uuid.uuid4().hex[:12]}"
    try:
        yield hierarchy, parent
    finally:
        for path in (*Path("/sys/fs/cgroup").glob(f"*/{parent}"), Path("/sys/fs/cgroup") / parent):
            if path.is_dir():
                path.rmdir()


@contextlib.asynccontextmanager
async def cgroup_of(resources: Resources) -> AsyncIterator[Cgroup]:
    """A cgroup with limits, killed and removed at the end."""
    with cgroup_parent() as (hierarchy, parent):
        cgroup = hierarchy.create(parent, "c", resources)
        try:
            yield cgroup
        finally:
            await cgroup.kill(signal.SIGKILL)
            await cgroup.remove()


def facts(directory: Path, cgroup: Cgroup, **changes: Any) -> plan.Facts:
    """What the engine would decide for it; the stage lies beside its directory."""
    stage = directory.parent / "stage"
    stage.mkdir(exist_ok=True)
    return plan.Facts(
        **{
            "machine": machine.survey(),
            "directory": str(directory),
            "stage": str(stage),
            "cgroup_tasks": cgroup.join_paths,
            "cgroup_views": cgroup.views,
            **changes,
        }
    )


async def start(
    link: Link, directory: Path, wanted: ContainerSpec, cgroup: Cgroup, **changes: Any
) -> Launched:
    """Start it; its directories are there already."""
    with layers.detached(wanted, facts(directory, cgroup, **changes)) as attached:
        launched = await launch(
            link,
            what="container web",
            key=f"run/{uuid.uuid4().hex}/1",
            flags=plan.clone_flags(wanted),
            plan=plan.build(wanted, facts(directory, cgroup, **changes)),
            stdio=StdioPlan(wanted.process.tty, wanted.process.open_stdin),
            cgroup_fd=cgroup.fd,
            attach=attached,
            uid_map=plan.map_text(plan.uid_maps(wanted.namespaces)),
            gid_map=plan.map_text(plan.gid_maps(wanted.namespaces)),
        )
    await launched.go()
    return launched


@contextlib.asynccontextmanager
async def running(
    link: Link, base: Path, wanted: ContainerSpec, **changes: Any
) -> AsyncIterator[tuple[Launched, Cgroup]]:
    """A started container, ended and removed after the block."""
    directory = base / "container"
    async with cgroup_of(wanted.resources) as cgroup:
        rootfs.make(str(directory))
        rootfs.furnish(str(directory), wanted)
        try:
            yield await start(link, directory, wanted, cgroup, **changes), cgroup
        finally:
            await cgroup.kill(signal.SIGKILL)
            trees.remove(str(directory))


async def run(link: Link, base: Path, wanted: ContainerSpec, **changes: Any) -> Outcome:
    """Run it to its end."""
    async with running(link, base, wanted, **changes) as (launched, _cgroup):
        return await outcome(link, launched)
