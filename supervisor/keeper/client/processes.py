"""What the engine knows of the keeper's children, and the two ways in which asking for one can fail. trio."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

import trio

from pysup.supervisor.kernel import process


class SpawnError(Exception):
    """The keeper could not make a child: the step, its errno, and a text where that does not tell enough."""

    def __init__(self, step: str, number: int, detail: str = "") -> None:
        super().__init__(f"{step}: {detail or os.strerror(number)}")
        self.step = step
        self.number = number
        self.detail = detail


class Entry(NamedTuple):
    """One entry of the keeper, with this engine's duplicates of its descriptors. pid 0: no process."""

    key: str
    pid: int
    pidfd: int
    status: int | None
    fds: dict[str, int]


class KeeperLost(Exception):
    """The keeper is gone without a Shutdown; ``entries`` is all that it held, as far as this engine knows.

    Whoever awaits Link.run() catches this right there and calls become_keeper(): nothing is to be unwound.
    """

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__(f"the keeper is gone; {len(entries)} entries are known")
        self.entries = entries


class Process:
    """A process that the keeper is the parent of (or watches). It stays a zombie until Link.reap()."""

    def __init__(self, key: str, pid: int, pidfd: int) -> None:
        self.key = key
        self.pid = pid
        self.pidfd = pidfd
        self.fds: dict[str, int] = {}
        """The descriptors that are held under its key, by name. Owned by the link."""
        self.status: int | None = None
        """As from waitpid(2); None while it runs."""
        self._ended = trio.Event()

    async def wait(self) -> int:
        """The status as from waitpid(2), as soon as the process has ended. Any number of tasks may wait.

        Raises KeeperLost if nobody can tell any more.
        """
        await self._ended.wait()
        if self.status is None:
            raise KeeperLost([])
        return self.status

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send a signal; False if it has ended already."""
        return self.status is None and process.pidfd_send_signal(self.pidfd, number)

    def note_end(self, status: int | None) -> None:
        """The keeper saw it end, or (None) can tell no more. Called by the link only."""
        self.status = status
        self._ended.set()
