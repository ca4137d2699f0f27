"""What the next engine does first with a run that it takes over: it goes on with the end that has begun."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from helpers.rows import NOW, SECOND, container

from pysup.supervisor.engine.containers.commands import Due
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.ending import Ending
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.spec.from_docker import normalise


class TakenOver:
    """In place of a Run: what is asked of it."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
        self.calls: list[object] = []

    def find(self, _entry: object) -> None: ...

    async def carry_on(self, _entry: object, *, was_starting: bool) -> None:
        await trio.lowlevel.checkpoint()

    def signal(self, number: int) -> None:
        self.calls.append(number)

    async def freeze(self) -> None:
        await self._note("freeze")

    async def thaw(self) -> None:
        await self._note("thaw")

    async def end_by_force(self) -> bool:
        await self._note("kill")
        return True

    async def _note(self, call: str) -> None:
        await trio.lowlevel.checkpoint()
        self.calls.append(call)


@pytest.mark.parametrize(
    ("state", "ending", "calls"),
    [
        ("running", Ending(), ["thaw"]),
        ("running", Ending("kill", 15), ["thaw"]),
        ("running", Ending("kill", 9), ["kill"]),
        ("paused", Ending(), ["freeze"]),
        ("paused", Ending("kill", 9), ["kill"]),
        ("stopping", Ending("stop", 2, NOW + SECOND), [2]),
        ("starting", Ending(), []),
    ],
)
async def test_what_is_begun_is_carried_out(
    nursery: trio.Nursery, state: str, ending: Ending, calls: list[object]
) -> None:
    """A removal by force leaves the state as it was, and the signal in the run's row, before it kills."""
    parts = cast("Any", SimpleNamespace(now_ns=lambda: NOW, link=None))
    spec = normalise({"Image": "x", "Cmd": ["x"]}, {}).spec
    adopting = Container(parts, Record(parts, container(state=state), spec), nursery)
    adopting._children = nursery
    run = TakenOver(ending)
    adopting._run = cast("Any", run)
    await adopting._adopted(adopting._run, None)
    assert run.calls == calls


@pytest.mark.parametrize(("due", "wait"), [(NOW + SECOND // 4, 0.25), (NOW + 3600 * SECOND, 0.5)])
async def test_a_clock_that_was_set_back_makes_no_back_off_longer(
    nursery: trio.Nursery, due: int, wait: float
) -> None:
    parts = parts_of(is_stopping=False)
    spec = normalise({"Image": "x", "Cmd": ["x"]}, {}).spec
    row = container(state="backoff", next_start_at=due, last_delay=0.5)
    waiting = Container(parts, Record(parts, row, spec), nursery)
    before = trio.current_time()
    await waiting._resumed()
    assert before + wait <= waiting._deadline <= trio.current_time() + wait


async def test_no_back_off_ends_while_the_daemon_stops(nursery: trio.Nursery) -> None:
    """However long it is due: the engine may have come in the place of one that was killed meanwhile."""
    parts = parts_of(is_stopping=True)
    spec = normalise({"Image": "x", "Cmd": ["x"]}, {}).spec
    row = container(state="backoff", next_start_at=NOW - SECOND, last_delay=0.5)
    waiting = Container(parts, Record(parts, row, spec), nursery)
    await waiting._resumed()
    assert waiting._deadline == math.inf
    await waiting._on_due(Due())
    assert waiting.run is None


async def test_what_the_daemon_s_end_has_stopped_stays_so(nursery: trio.Nursery) -> None:
    """It is wanted to run, by the next daemon."""
    parts = parts_of(is_stopping=True)
    spec = normalise({"Image": "x", "Cmd": ["x"]}, {}).spec
    stopped = Container(parts, Record(parts, container(state="exited", desired="run"), spec), nursery)
    await stopped._resumed()
    assert stopped.run is None


def parts_of(*, is_stopping: bool) -> Any:
    stop = trio.Event()
    if is_stopping:
        stop.set()
    return SimpleNamespace(now_ns=lambda: NOW, link=SimpleNamespace(stop_requested=stop))


@pytest.mark.parametrize("hours", [0, 1])
async def test_a_clock_that_was_set_back_makes_no_end_longer(nursery: trio.Nursery, hours: int) -> None:
    """Neither that of a stop, nor that of a run which may take only so long: that holds for a stop, too."""
    parts = cast("Any", SimpleNamespace(now_ns=lambda: NOW - hours * 3600 * SECOND))
    for state, longest, left in (("stopping", 0, 90), ("stopping", 20, 20), ("running", 20, 20)):
        host = {"Pysup": {"RunTimeout": longest}}
        spec = normalise({"Image": "x", "Cmd": ["x"], "HostConfig": host}, {}).spec
        adopting = Container(parts, Record(parts, container(state=state, started_at=NOW), spec), nursery)
        adopting._children = nursery
        adopting._run = cast("Any", TakenOver(Ending("stop", 15, NOW + 90 * SECOND, 90 * SECOND)))
        if state == "running":
            adopting._run.ending = Ending()
        await adopting._adopted(adopting._run, None)
        assert adopting._deadline == pytest.approx(trio.current_time() + left, abs=1)


@pytest.mark.parametrize("state", ["running", "paused"])
async def test_how_long_it_may_take_holds_on(nursery: trio.Nursery, state: str) -> None:
    """Paused, too; until an update takes it back."""
    parts = cast("Any", SimpleNamespace(now_ns=lambda: NOW + SECOND))
    spec = normalise({"Image": "x", "Cmd": ["x"], "HostConfig": {"Pysup": {"RunTimeout": 5}}}, {}).spec
    adopting = Container(parts, Record(parts, container(state=state, started_at=NOW), spec), nursery)
    adopting._children = nursery
    adopting._run = cast("Any", TakenOver(Ending()))
    await adopting._adopted(adopting._run, None)
    assert adopting._deadline == pytest.approx(trio.current_time() + 4, abs=1)
    adopting.record.spec = replace(spec, run_timeout=0)
    adopting._set_run_deadline()
    assert adopting._deadline == math.inf
