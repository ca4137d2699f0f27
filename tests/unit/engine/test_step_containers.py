"""The container of a RUN is its build's from before anybody sees it until it is to be removed, or left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from helpers.rows import ID, container

from pysup.supervisor.engine.building.containers import Containers
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.engine.building.step_containers import StepContainers
from pysup.supervisor.engine.callers import DAEMON
from pysup.supervisor.errors import Conflict, PysupError
from pysup.supervisor.spec.reference import parse_reference

ROW = container()
ORDER = Order(caller=DAEMON, names=(parse_reference("web:1"),))


class Engine:
    """Makes and removes one container; notes whether others could have removed it."""

    def __init__(self, steps: StepContainers, *, fails: bool = False) -> None:
        self._steps = steps
        self._fails = fails
        self.removed = 0

    async def create(self, _body: object, _name: object, _caller: object, also: Any) -> object:
        also(ID)
        assert is_owned(self._steps)
        await trio.lowlevel.checkpoint()
        if self._fails:
            raise PysupError("cannot create")
        return SimpleNamespace(id=ID, warnings=[], record=None)

    async def remove(self, _ref: str, _caller: object, *, force: bool, volumes: bool) -> None:
        assert force and volumes
        self._steps.refuse_removal(ROW)
        await trio.lowlevel.checkpoint()
        self.removed += 1


class Output:
    async def say(self, _text: str) -> None:
        await trio.lowlevel.checkpoint()


def is_owned(steps: StepContainers) -> bool:
    try:
        steps.refuse_removal(ROW)
    except Conflict:
        return True
    return False


def containers(engine: Engine, steps: StepContainers) -> Containers:
    made = Containers(cast("Any", None), cast("Any", engine), ORDER, cast("Any", Output()), steps)

    async def perform(_container_id: str, _told: str) -> None:
        await trio.lowlevel.checkpoint()
        assert is_owned(steps)

    made._perform = perform  # type: ignore[method-assign]
    return made


async def test_nobody_but_the_build_removes_it() -> None:
    steps = StepContainers()
    engine = Engine(steps)
    async with containers(engine, steps).ran({}, "true"):
        with pytest.raises(
            Conflict, match=r"^cannot remove container web: the build of .*web:1 runs in it, "
        ):
            steps.refuse_removal(ROW)
    assert engine.removed == 1
    assert not is_owned(steps)


async def test_a_build_that_is_ended_lets_go_of_it() -> None:
    steps = StepContainers()
    engine = Engine(steps)
    with trio.CancelScope() as scope:
        async with containers(engine, steps).ran({}, "true"):
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert engine.removed == 1
    assert not is_owned(steps)


async def test_one_that_never_came_to_be_is_nobody_s() -> None:
    steps = StepContainers()
    with pytest.raises(PysupError, match="cannot create"):
        async with containers(Engine(steps, fails=True), steps).ran({}, "true"):
            raise AssertionError("it was not made")
    assert not is_owned(steps)
