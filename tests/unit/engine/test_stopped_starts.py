"""A stop that comes while a container is being started, at a time when its program may run already."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import trio
from helpers.rows import NOW, SECOND, container

from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers.adopted_run import AdoptedRun
from pysup.supervisor.engine.containers.commands import Failed, News, Ready, Remove, Stop
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.ending import Ending
from pysup.supervisor.engine.containers.kept_layers import KeptLayers
from pysup.supervisor.engine.containers.record import Change, Record, Told
from pysup.supervisor.engine.containers.run import Run
from pysup.supervisor.engine.containers.states import next_state
from pysup.supervisor.spec.from_docker import normalise

PARTS = cast("Any", SimpleNamespace(now_ns=lambda: NOW, link=SimpleNamespace(stop_requested=trio.Event())))
SOMEBODY = Caller(1000, 42, "docker")
STOP = Stop(SOMEBODY, signal=2, timeout=1)


class Starting(Record):
    """A container that is being started; what is committed goes no further."""

    def __init__(self) -> None:
        spec = normalise({"Image": "x", "Cmd": ["x"], "HostConfig": {"NetworkMode": "none"}}, {}).spec
        super().__init__(PARTS, container(state="starting"), spec)
        self.changes: list[Change] = []

    async def make(self, change: Change) -> None:
        await trio.lowlevel.checkpoint()
        state = self.state
        for event in change.passed:
            state = next_state(state, event)
        self.row = replace(self.row, state=str(state))
        self.changes.append(change)


def started(nursery: trio.Nursery) -> tuple[Container, Run, Starting]:
    record = Starting()
    made = Container(PARTS, record, nursery)
    made._run = run = made._new_run(Run, 1)
    return made, run, record


async def test_it_is_stopped_as_was_asked_by_whom_it_was(nursery: trio.Nursery) -> None:
    stopped, run, record = started(nursery)
    await stopped._take(STOP)
    await stopped._take(Ready())
    assert [change.told for change in record.changes] == [
        (Told("start", {}, DAEMON),),
        (Told("kill", {"signal": "2"}, SOMEBODY),),
    ]
    assert (run.ending, run.ended_for) == (Ending("stop", 2, NOW + SECOND, SECOND), SOMEBODY)


async def test_the_daemon_s_end_leaves_it_stopped(nursery: trio.Nursery) -> None:
    stopped, run, _ = started(nursery)
    await stopped._take(STOP)
    await stopped._take(Stop(DAEMON, ended_by="shutdown"))
    assert run.ending.by == "stop"


async def test_a_removal_kills_it(nursery: trio.Nursery) -> None:
    removed, run, record = started(nursery)
    await removed._take(Remove(SOMEBODY, force=True))
    await removed._take(Ready())
    assert [change.told for change in record.changes] == [
        (Told("start", {}, DAEMON),),
        (Told("kill", {"signal": "9"}, SOMEBODY),),
    ]
    assert (run.ending, run.ended_for) == (Ending("kill", 9), SOMEBODY)


async def test_a_start_that_was_cut_off_is_not_made_anew(nursery: trio.Nursery) -> None:
    """The next engine is asked to stop it while it finds out that the last one did not let it go."""
    record, news = Starting(), list[News]()
    stdio = Container(PARTS, record, nursery).stdio
    for asked, after in ((Ending(), "restart"), (Ending("stop"), "stop"), (Ending("shutdown"), "shutdown")):
        run = AdoptedRun(PARTS, record, number=1, stdio=stdio, layers=KeptLayers(), report=news.append)
        run.abandon(asked, SOMEBODY)
        run.committed.set()
        await run._start_anew()
        assert run.ending.by == after
    assert [type(one) for one in news] == [Failed, Failed, Failed]
