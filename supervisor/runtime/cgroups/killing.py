"""Ending every process of a cgroup where the kernel cannot do it at one stroke (cgroup v1; v2 before Linux 5.14)."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from pysup.supervisor.errors import Conflict
from pysup.supervisor.runtime.cgroups.waiting import BOUND, until

_FREEZING = 0.2
"""Seconds to wait for the freeze; then it is tried without: a process in the disk's hands cannot freeze."""


class Killable(Protocol):
    """What ending needs of a cgroup."""

    def processes(self) -> list[int]:
        """Pids in it."""

    def start_freeze(self) -> None:
        """Ask for the freeze without waiting."""

    def is_frozen(self) -> bool:
        """Whether all processes have stopped."""

    async def thaw(self) -> None:
        """Let them go on."""


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal; who has ended already needs none."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


async def kill_all(cgroup: Killable, path: str) -> None:
    """SIGKILL until nobody is left.

    Frozen, they can neither fork nor end between the reading of a pid and the signal, so no pid can have been
    given to somebody else meanwhile. They take the signal when they are thawed (freezer-subsystem.rst).
    """
    if not await _repeatedly(lambda: _round(cgroup), lambda: not cgroup.processes()):
        raise Conflict(f"cannot kill the processes of cgroup {path}: {cgroup.processes()} are still there")


async def _repeatedly(work: Callable[[], Awaitable[None]], done: Callable[[], bool]) -> bool:
    """Rounds with a wait after each, since a process takes a moment to end."""
    for part in range(1, 5):
        if done():
            return True
        await work()
        if await until(done, BOUND * part / 10):
            return True
    return False


async def _round(cgroup: Killable) -> None:
    cgroup.start_freeze()
    try:
        await until(cgroup.is_frozen, _FREEZING)
        send(cgroup.processes(), signal.SIGKILL)
    finally:
        await cgroup.thaw()
