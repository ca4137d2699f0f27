"""Bridges that are broken: several at once, and one that several tasks find so."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
import trio.testing

from pysup.supervisor.engine.networks import fabric as fabrics
from pysup.supervisor.engine.networks.fabric import Fabric
from pysup.supervisor.engine.networks.home import Home
from pysup.supervisor.engine.networks.repairs import Repairs
from pysup.supervisor.errors import Conflict, Unavailable
from pysup.supervisor.settings import Settings

NETWORK = "n" * 64
NOBODY = cast("Any", None)


@pytest.fixture
def fabric(monkeypatch: pytest.MonkeyPatch) -> Fabric:
    """Without a kernel, and nobody who is told of repairs; each network is in use."""

    async def yes(*_asked: object) -> bool:
        await trio.lowlevel.checkpoint()
        return True

    monkeypatch.setattr(fabrics, "Netlink", lambda _namespace: None)
    monkeypatch.setattr(Repairs, "_tell", yes)
    monkeypatch.setattr(Fabric, "_is_in_use", yes)
    return Fabric(NOBODY, NOBODY, NOBODY, NOBODY, Home(NOBODY, None, Settings("", "")))


async def test_a_bridge_that_breaks_again_while_it_is_made_anew_is_made_once_more(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, finished = [1], trio.Event()

    async def make(fabric: Fabric, network_id: str) -> int:
        index = len(made) + 1
        fabric._bridges[network_id] = index
        made.append(index)
        await finished.wait()
        return index

    monkeypatch.setattr(Fabric, "_make", make)
    fabric._bridges[NETWORK] = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fabric.restore_bridges, frozenset({1}))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(fabric.restore_bridges, None)
        await trio.testing.wait_all_tasks_blocked()
        finished.set()
    assert (made, await fabric.bridge(NETWORK)) == ([1, 2, 3], 3)
    assert await fabric._repaired(NETWORK, 2) == 3, "another task has made it anew already"


async def test_a_bridge_that_cannot_be_made_keeps_no_other_from_being_repaired(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def make(fabric: Fabric, network_id: str) -> int:
        await trio.lowlevel.checkpoint()
        if network_id != NETWORK:
            raise Conflict("cannot make bridge br1: there is another interface of this name")
        fabric._bridges[network_id] = 3
        return 3

    monkeypatch.setattr(Fabric, "_make", make)
    fabric._bridges.update({"other": 1, NETWORK: 2})
    assert await fabric.restore_bridges(None)
    assert fabric._bridges == {NETWORK: 3}
    assert "cannot repair the bridge of network other: cannot make bridge br1" in caplog.text


async def test_a_bridge_that_could_not_be_made_is_tried_again_with_the_next_notification(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[Exception | int] = [Conflict("taken"), Unavailable("no memory"), 5]

    async def make(fabric: Fabric, network_id: str) -> int:
        await trio.lowlevel.checkpoint()
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        fabric._bridges[network_id] = outcome
        return outcome

    monkeypatch.setattr(Fabric, "_make", make)
    fabric._bridges[NETWORK] = 2
    another = frozenset({99})
    assert await fabric.restore_bridges(frozenset({2}))
    assert await fabric.restore_bridges(another)
    assert await fabric.restore_bridges(another)
    assert (fabric._bridges, outcomes) == ({NETWORK: 5}, [])
    assert not await fabric.restore_bridges(another), "there is nothing left to be done"


async def test_a_bridge_that_nobody_is_on_is_left_to_the_next_who_comes(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken back of it would else be the notification by which it is tried again, for ever."""

    async def make(_fabric: Fabric, _network_id: str) -> int:
        await trio.lowlevel.checkpoint()
        raise Unavailable("no memory")

    async def is_in_use(_fabric: Fabric, _network_id: str) -> bool:
        await trio.lowlevel.checkpoint()
        return False

    monkeypatch.setattr(Fabric, "_make", make)
    monkeypatch.setattr(Fabric, "_is_in_use", is_in_use)
    fabric._bridges[NETWORK] = 2
    assert await fabric.restore_bridges(None)
    assert not await fabric.restore_bridges(None)


async def test_bridges_are_repaired_also_where_no_way_out_can_be_made(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def make(fabric: Fabric, network_id: str) -> int:
        await trio.lowlevel.checkpoint()
        fabric._bridges[network_id] = 3
        return 3

    async def lead_out(_home: Home) -> None:
        await trio.lowlevel.checkpoint()
        raise Unavailable("cannot give networks a way out without root: it has ended")

    monkeypatch.setattr(Fabric, "_make", make)
    monkeypatch.setattr(Home, "lead_out", lead_out)

    async def found(_home: Home) -> int:
        await trio.lowlevel.checkpoint()
        return 0

    monkeypatch.setattr(Home, "_found", found)
    fabric.home._index = 7
    fabric._bridges[NETWORK] = 2
    assert await fabric.restore_bridges(frozenset({2, 7}))
    assert fabric._bridges == {NETWORK: 3}
    assert "cannot lead networks out again: cannot give networks a way out" in caplog.text
    assert await fabric.restore_bridges(frozenset({99})), "it is tried again"
