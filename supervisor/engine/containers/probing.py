"""Probes a running container's health: a process in it, again and again, for as long as the run lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import trio

from pysup.supervisor.engine.containers.commands import Probed
from pysup.supervisor.engine.containers.exec_session import ExecSession, nothing_to_release
from pysup.supervisor.engine.containers.health import LONGEST_OUTPUT, Health, Probe, pause
from pysup.supervisor.engine.containers.launching import launch_exec
from pysup.supervisor.engine.containers.outcome import exit_code_of
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.standstill import Standstill
from pysup.supervisor.engine.containers.states import State
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import PysupError
from pysup.supervisor.keeper.client.link import Process
from pysup.supervisor.runtime.cgroups.base import Cgroup
from pysup.supervisor.runtime.launch import Launched
from pysup.supervisor.spec.health import HealthCheck
from pysup.supervisor.spec.process import exec_process
from pysup.supervisor.spec.units import format_duration

_FAILED = -1


class Target(NamedTuple):
    """What is probed: the first process of a run, its cgroup, and when they are frozen."""

    process: Process
    cgroup: Cgroup
    standstill: Standstill


async def keep_probing(
    parts: Parts, record: Record, check: HealthCheck, target: Target, report: Callable[[Probed], None]
) -> None:
    """Until it is cancelled. One that is frozen, or about to end, is left alone, and a probe that was frozen with it
    says nothing: it had no chance.
    """
    still = target.standstill
    while True:
        row = record.row
        since = (parts.now_ns() - (row.started_at or 0)) / 1e9
        await trio.sleep(pause(Health(row.health), check, since))
        if record.state is State.RUNNING and not still.lasts:
            before = still.times
            probe = await _probe(parts, record, check, target)
            if still.times == before:
                report(Probed(probe))


async def _probe(parts: Parts, record: Record, check: HealthCheck, target: Target) -> Probe:
    start, output, code = parts.now_ns(), bytearray(), _FAILED
    told = f"Health check exceeded timeout ({format_duration(check.timeout)})"
    with trio.move_on_after(check.timeout) as patience:
        try:
            launched = await launch_exec(
                parts,
                record,
                target=target.process.pidfd,
                cgroup=target.cgroup,
                key=f"health/{record.id}",
                process=exec_process({"Cmd": list(check.argv)}, record.spec.process, verb="check health"),
            )
            code = await _performed(parts, launched, output)
        except (PysupError, OSError) as error:
            output += str(error).encode()
    text = bytes(output).decode(errors="replace")
    if patience.cancelled_caught:
        code, text = _FAILED, f"{told}: {text}" if text else told
    return Probe(start, parts.now_ns(), code, text)


async def _performed(parts: Parts, launched: Launched, output: bytearray) -> int:
    """Its exit code; whatever happens, it is gone afterwards. What it writes is read to the end, and kept in part."""
    session = ExecSession(launched.process.key, tty=False, has_stdin=False)
    try:
        try:
            session.connect(launched.stdio, nothing_to_release)
            await launched.go()
        except BaseException:
            await launched.abort()
            raise
        return await _watched(parts, launched, session, output)
    finally:
        session.ended()


async def _watched(parts: Parts, launched: Launched, session: ExecSession, output: bytearray) -> int:
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_collect, session, output)
            async with trio.open_nursery() as copying:
                copying.start_soon(session.copy)
                status = await launched.process.wait()
                session.process_ended()
            session.ended()
        return exit_code_of(status)
    finally:
        with trio.CancelScope(shield=True):
            launched.process.kill()
            await launched.process.wait()
            await parts.link.reap(launched.process.key)


async def _collect(session: ExecSession, output: bytearray) -> None:
    async for _stream, data in session.chunks():
        output += data[: LONGEST_OUTPUT - len(output)]
