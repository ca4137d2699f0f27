"""Directories of containers that are made ahead: a start takes one by a rename(2), 13 µs in place of 600.

They lie where the others do, under names that no container can have, so what a crash leaves of them goes with the
engine's next start like all that has no row (boot.py).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import deque

import trio

from pysup.supervisor.runtime import rootfs, trees

_PREFIX = ".ahead-"
AHEAD = 4
QUIET = 0.025
"""Seconds in which none was taken, after which those that lack are made. In a rush it is cheaper that each start makes
its own.
"""


class DirectoriesAhead:
    """One for each daemon; ``keep_filled`` runs as long as the engine does. ``parent``: where they are."""

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._ready: deque[str] = deque()
        self._taken = trio.Event()

    def take(self, directory: str) -> bool:
        """Have one under this path; False if there is none, or none that works: it is to be made then."""
        self._taken.set()
        while self._ready:
            with contextlib.suppress(OSError):
                os.rename(self._ready.popleft(), directory)
                return True
        return False

    async def keep_filled(self) -> None:
        """Make those that lack, in a thread, when nobody has taken one for a moment."""
        try:
            while True:
                await trio.to_thread.run_sync(self._fill)
                await self._taken.wait()
                while self._taken.is_set():
                    self._taken = trio.Event()
                    await trio.sleep(QUIET)
        finally:
            with contextlib.suppress(OSError):  # a disk that went read-only: the next start removes them
                while self._ready:
                    trees.remove(self._ready.popleft())

    def _fill(self) -> None:
        """Where none can be made (a full disk), a start will tell why."""
        with contextlib.suppress(OSError):
            for _lacking in range(AHEAD - len(self._ready)):
                self._make(os.path.join(self._parent, _PREFIX + secrets.token_hex(8)))

    def _make(self, path: str) -> None:
        try:
            rootfs.make(path)
        except OSError:
            trees.remove(path)
            raise
        self._ready.append(path)
