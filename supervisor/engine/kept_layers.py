"""A container's overlays between two runs: not unmounted when a process ends, since that waits for the disk.

A copy of the mount keeps the overlay while the container restarts, and the next run takes it. When the container comes
to rest it is let go in a thread: there the kernel writes out what is not on the disk yet (keeper/steps_kept.py).
With --rm there is nothing to write out, and nothing is kept. An engine that was killed has lost its copies: then the
end of the run waits for the disk once, as it does with other engines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import trio


class KeptLayers:
    """Descriptors of detached mounts by the names that the plan gives them; one for each container."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}
        self._closing = trio.Lock()

    @property
    def fds(self) -> Mapping[str, int]:
        """For the next run."""
        return self._fds

    @property
    def held(self) -> bool:
        """Whether anything of it is left."""
        return bool(self._fds) or self._closing.locked()

    async def settled(self) -> None:
        """Wait until what was let go is gone: two overlays with one write layer would not know of each other."""
        if self._closing.locked():
            async with self._closing:
                pass

    def replace(self, fds: Mapping[str, int]) -> None:
        """Keep the new run's instead, which are the same overlays: closing the old ones waits for nothing."""
        old, self._fds = self._fds, dict(fds)
        close_all(old.values())

    async def release(self) -> None:
        """Let them go, and wait for the disk."""
        old, self._fds = self._fds, {}
        if old:
            async with self._closing:
                await trio.to_thread.run_sync(close_all, list(old.values()), abandon_on_cancel=True)


def close_all(fds: Iterable[int]) -> None:
    """Close them."""
    for fd in fds:
        os.close(fd)
