"""Bridges of which several tasks find at once that they are broken."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
import trio.testing

from pysup.supervisor.engine.networks import fabric as fabrics
from pysup.supervisor.engine.networks.fabric import Fabric
from pysup.supervisor.engine.networks.home import Home

NETWORK = "n" * 64
NOBODY = cast("Any", None)


async def test_a_bridge_that_breaks_again_while_it_is_made_anew_is_made_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, finished = [1], trio.Event()

    async def make(fabric: Fabric, network_id: str) -> int:
        index = len(made) + 1
        fabric._bridges[network_id] = index
        made.append(index)
        await finished.wait()
        return index

    async def tell(*_told: object) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(fabrics, "Netlink", lambda _namespace: None)
    monkeypatch.setattr(Fabric, "_make", make)
    monkeypatch.setattr(Fabric, "_tell_repair", tell)
    fabric = Fabric(NOBODY, NOBODY, NOBODY, NOBODY, Home(NOBODY, None))
    fabric._bridges[NETWORK] = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fabric.restore_bridges, frozenset({1}))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(fabric.restore_bridges, None)
        await trio.testing.wait_all_tasks_blocked()
        finished.set()
    assert (made, await fabric.bridge(NETWORK)) == ([1, 2, 3], 3)
    assert await fabric._repaired(NETWORK, 2) == 3, "another task has made it anew already"
