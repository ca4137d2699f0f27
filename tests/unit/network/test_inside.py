"""Going into another network namespace keeps no other task waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
import trio

from pysup.supervisor.kernel import netns
from pysup.supervisor.network.inside import run_inside
from pysup.supervisor.network.relay import Way

_PATIENCE = 5.0


@pytest.mark.parametrize("call", ["a call", "a connection that is carried"])
async def test_other_tasks_go_on_while_an_ordinary_users_thread_is_inside(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    others_go_on, seen = threading.Event(), []

    def slow(_namespace: int | None, _call: Callable[[], object]) -> None:
        seen.append(others_go_on.wait(_PATIENCE))
        raise OSError("it is enough to have been there")

    monkeypatch.setattr(netns, "is_governed", lambda: False)
    monkeypatch.setattr(netns, "run_inside", slow)
    way = Way(("192.0.2.1", 80), namespace=0)
    calls = {"a call": partial(run_inside, 0, object), "a connection that is carried": partial(way.open, 1)}

    async def go() -> None:
        with pytest.raises(OSError, match="enough"):
            await calls[call]()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go)
        await trio.testing.wait_all_tasks_blocked()
        others_go_on.set()
    assert seen == [True]
