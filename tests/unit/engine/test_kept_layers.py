"""Who owns the copies of a container's overlays, and when a start has to wait for them."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing

from pysup.supervisor.engine.containers import kept_layers
from pysup.supervisor.engine.containers.kept_layers import KeptLayers


def opened() -> int:
    return os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)


def is_open(fd: int) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


async def test_what_is_taken_is_nobody_else_s_to_close(nursery: trio.Nursery) -> None:
    """A container that is started while it comes to rest: the two must not close each other's descriptors."""
    layers, fd = KeptLayers(), opened()
    layers.keep({"kept-layer": fd})
    assert await layers.take() == {"kept-layer": fd}
    layers.let_go(nursery)
    assert is_open(fd) and not layers.held
    await layers.drop({"kept-layer": fd})
    assert not is_open(fd) and not layers.held


async def test_a_start_waits_until_what_was_let_go_is_closed(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, fd, (hold, go) = KeptLayers(), opened(), os.pipe()
    close = kept_layers.close_all

    def slowly(fds: list[int]) -> None:
        os.read(hold, 1)
        close(fds)

    monkeypatch.setattr(kept_layers, "close_all", slowly)
    layers.keep({"kept-layer": fd})
    layers.let_go(nursery)
    taken = trio.Event()

    async def take() -> None:
        assert await layers.take() == {}
        taken.set()

    nursery.start_soon(take)
    await trio.testing.wait_all_tasks_blocked()
    assert layers.held and is_open(fd) and not taken.is_set()
    os.write(go, b"x")
    await taken.wait()
    assert not is_open(fd) and not layers.held
    close([hold, go])
