"""Children that wait at the keeper, and need nothing of a container's to be made (keeper/stock.py): asking for one.

It is asked for while the row of its run is committed, and comes while the disk is waited for. Until it is told what to
do, it is nobody's: if the row is refused, or the engine dies before, nothing was done, and the child ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.runtime import plan
from pysup.supervisor.runtime.asking import Asked, StdioPlan, asking
from pysup.supervisor.runtime.devices import HostNode
from pysup.supervisor.runtime.plan import Facts, Stage
from pysup.supervisor.spec.container import Process


class StagedChild(NamedTuple):
    """A child that is on its way, and what it does first."""

    asked: Asked
    stage: Stage


@asynccontextmanager
async def early_child(
    parts: Parts, record: Record, key: str, devices: tuple[HostNode, ...]
) -> AsyncIterator[StagedChild | None]:
    """In the block: a child for launch_run(); None: it is made when all about it is known.

    Where the block ends by an error, nothing is left of it. Raises StartFailed.
    """
    held = tuple(own_namespaces(parts, record))
    stage = _stage(parts, record, held, devices)
    if stage is None or not parts.link.ordered(stage.key):
        yield None
        return
    async with asked_for(parts, record, key, held, stage) as asked:
        yield StagedChild(asked, stage)


def _stage(
    parts: Parts, record: Record, held: tuple[str, ...], devices: tuple[HostNode, ...]
) -> Stage | None:
    """The container's stage, if it is known so early: what is shared with others is found at the last moment."""
    spaces = record.spec.namespaces
    if "container" in {spaces.net, spaces.uts, spaces.cgroup}:
        return None
    place = parts.settings.stage
    facts = Facts(machine=parts.machine, directory="", stage=place, held=held, devices=devices)
    return plan.stage_of(record.spec, facts)


def asked_for(  # noqa: PLR0917
    parts: Parts, record: Record, key: str, held: Iterable[str], stage: Stage, cgroup: int | None = None
) -> AbstractAsyncContextManager[Asked]:
    """In the block: a child that does this stage and waits for its plan."""
    process = record.spec.process
    return asking(
        parts.link,
        what=f"container {record.row.name}",
        key=key,
        flags=plan.clone_flags(record.spec, (*held, plan.USER)),
        stdio=stdio_of(process),
        stage=stage,
        cgroup_fd=cgroup,
    )


def own_namespaces(parts: Parts, record: Record) -> dict[str, int]:
    """The namespaces that are held for the container, save that of users: a process is born in that."""
    return {name: fd for name, fd in HeldNamespaces(parts.link, record.id).fds.items() if name != plan.USER}


def stdio_of(process: Process) -> StdioPlan:
    """What its program gets as 0, 1 and 2."""
    return StdioPlan(tty=process.tty, open_stdin=process.open_stdin)
