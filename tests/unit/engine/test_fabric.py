"""Bridges that are broken: several at once, and one that several tasks find so."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
import trio.testing

from pysup.supervisor.engine.networks import fabric as fabrics
from pysup.supervisor.engine.networks.fabric import Fabric
from pysup.supervisor.engine.networks.home import Home
from pysup.supervisor.errors import Conflict

NETWORK = "n" * 64
NOBODY = cast("Any", None)


@pytest.fixture
def fabric(monkeypatch: pytest.MonkeyPatch) -> Fabric:
    """Without a kernel, and nobody who is told of repairs."""

    async def tell(*_told: object) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(fabrics, "Netlink", lambda _namespace: None)
    monkeypatch.setattr(Fabric, "_tell_repair", tell)
    return Fabric(NOBODY, NOBODY, NOBODY, NOBODY, Home(NOBODY, None, ""))


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
