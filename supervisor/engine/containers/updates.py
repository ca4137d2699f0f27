"""docker update: new limits and another restart policy, and pysup's other ports; at once, and for every later run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pysup.store import endpoints
from pysup.supervisor.engine.containers import commands
from pysup.supervisor.engine.containers.record import Change, Record, Told, Write
from pysup.supervisor.engine.containers.run import Run
from pysup.supervisor.engine.containers.specs import DEFAULTS, spec_of
from pysup.supervisor.engine.containers.states import State
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Conflict
from pysup.supervisor.runtime.cgroups.convert import change_of
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.spec.update import merge_update


async def apply_update(parts: Parts, record: Record, run: Run | None, command: commands.Update) -> list[str]:
    """Check everything, take further ports, change the cgroup, then commit; returns warnings.

    A limit that the kernel refuses (less memory than is in use), or a port that somebody has, leaves the row and the
    ports as they were.
    """
    now = json.loads(record.row.host_config)
    host_config = merge_update(now, command.body, _published(parts, record), cpus=DEFAULTS.cpus)
    spec = spec_of(parts.images, record.row, host_config)
    parts.hierarchy.check(spec.resources)
    async with _ports(record, run, spec) as writes:
        if run is not None and run.cgroup is not None and not run.ended:
            run.cgroup.apply(change_of(record.spec.resources, spec.resources))
        change = Change(
            told=(Told("update", {}, command.caller),), columns={"host_config": host_config}, writes=writes
        )
        await record.make(change)
    record.spec = spec
    return []


def _published(parts: Parts, record: Record) -> list[tuple[str, int]]:
    """Port and protocol inside, and the host's port, of what is published now."""
    found = endpoints.ports(parts.store.read(), record.id)
    return [(f"{port.container_port}/{port.protocol}", port.host_port) for port in found]


@asynccontextmanager
async def _ports(record: Record, run: Run | None, spec: ContainerSpec) -> AsyncIterator[tuple[Write, ...]]:
    """In the block the ports are what the new spec says, if the container runs and that is something else."""
    if run is None or spec.network == record.spec.network:
        yield ()
        return
    if record.state is State.STARTING:
        raise Conflict(f"cannot update container {record.row.name}: its ports cannot change while it starts")
    async with run.sandbox.published(spec.network) as writes:
        yield writes
