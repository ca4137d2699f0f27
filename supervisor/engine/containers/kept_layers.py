"""A container's overlays between two runs: not unmounted when a process ends, since that waits for the disk.

A copy of the mount keeps the overlay while the container restarts, and the next run takes it. When the container comes
to rest it is let go in a thread: there the kernel writes out what is not on the disk yet (keeper/steps/kept.py).
With --rm there is nothing to write out, and nothing is kept. An engine that was killed has lost its copies: then the
end of the run waits for the disk once, as it does with other engines.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import trio


class KeptLayers:
    """Descriptors of detached mounts by the names that the plan gives them; one for each container."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}
        self._closing = 0
        self._closed = trio.lowlevel.ParkingLot()

    @property
    def held(self) -> bool:
        """Whether anything of it is left."""
        return bool(self._fds) or self._closing > 0

    async def take(self) -> dict[str, int]:
        """What was kept is the caller's from now on, who closes it, or drop()s it.

        What was let go before is waited for: two overlays with one write layer would not know of each other.
        """
        while self._closing:
            await self._closed.park()
        taken, self._fds = self._fds, {}
        return taken

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[dict[str, int]]:
        """What was kept, as take() gives it; until the end of the block nobody else can take or mount anything."""
        taken = await self.take()
        self._closing += 1
        try:
            yield taken
        finally:
            self._closing -= 1
            self._closed.unpark_all()

    def keep(self, fds: Mapping[str, int]) -> None:
        """Keep a run's overlays for the next one."""
        self._fds = dict(fds)

    def let_go(self, nursery: trio.Nursery) -> None:
        """The container rests: close in the background what is kept."""
        if self._fds:
            self._closing += 1
            nursery.start_soon(self._close, self._fds)
            self._fds = {}

    async def drop(self, fds: Mapping[str, int]) -> None:
        """Close what may be the last of an overlay, and wait for the disk."""
        if fds:
            self._closing += 1
            await self._close(fds)

    async def _close(self, fds: Mapping[str, int]) -> None:
        try:
            await trio.to_thread.run_sync(close_all, list(fds.values()), abandon_on_cancel=True)
        finally:
            self._closing -= 1
            self._closed.unpark_all()


def close_all(fds: Iterable[int]) -> None:
    """Close them."""
    for fd in fds:
        os.close(fd)
