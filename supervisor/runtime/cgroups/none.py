"""A machine, or a user, without a cgroup: nothing can be limited or paused, and processes are found by their mounts."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Literal

from pysup.supervisor.errors import Conflict, Unavailable
from pysup.supervisor.kernel.searching import processes_of
from pysup.supervisor.runtime.cgroups import killing, needs
from pysup.supervisor.runtime.cgroups.base import FinalUsage, Usage
from pysup.supervisor.runtime.cgroups.waiting import until
from pysup.supervisor.runtime.devices import CGROUP_RULES
from pysup.supervisor.runtime.plan.facts import CgroupView
from pysup.supervisor.spec.resources import Resources

WHY = (
    "the daemon is an ordinary user's, without a cgroup of its own "
    "(on cgroup v2 a systemd unit with Delegate=yes gives one)"
)


class NoCgroups:
    """No hierarchy."""

    version: Literal[0] = 0
    controllers: frozenset[str] = frozenset()

    def prepare(self, parent: str) -> None:
        """There is nothing to prepare."""

    def release(self, parent: str) -> None:
        """Nor to remove."""

    def check(self, resources: Resources) -> None:
        """Raise Unavailable for the first limit that is asked for."""
        for what, _controller in needs.needs(resources):
            raise Unavailable(f"cannot limit {what}: {WHY}")

    def create(
        self, parent: str, name: str, resources: Resources, device_rules: tuple[str, ...] = CGROUP_RULES
    ) -> NoCgroup:
        """Only the kernel's own checks keep a user from devices: there are no nodes but those of the host's."""
        self.check(resources)
        return self.open(parent, name)

    def open(self, parent: str, name: str) -> NoCgroup:
        """The container of this id."""
        return NoCgroup(name)

    def leftovers(self, parent: str) -> list[str]:
        """What an earlier daemon has left was ended before this one began (rootless.py)."""
        return []

    def open_parent(self, parent: str) -> None:
        """There is none."""


class NoCgroup:
    """One container, by its id: that is in the paths of what is mounted in it."""

    fd = None
    join_paths: tuple[str, ...] = ()
    views: tuple[CgroupView, ...] = ()

    def __init__(self, container_id: str) -> None:
        self._path = f"/containers/{container_id}/"

    def apply(self, resources: Resources) -> None:
        """Raises Unavailable for any limit."""
        NoCgroups().check(resources)

    def usage(self) -> Usage:
        """What its processes have at the moment; the CPU time of those that have ended is not known."""
        pids = self.processes()
        clock = os.sysconf("SC_CLK_TCK")
        user, system, memory = (sum(column) for column in zip((0, 0, 0), *map(_figures, pids), strict=True))
        return Usage(
            cpu_ns=(user + system) * 10**9 // clock,
            cpu_user_ns=user * 10**9 // clock,
            cpu_system_ns=system * 10**9 // clock,
            cpus_online=os.cpu_count() or 1,
            memory=memory * os.sysconf("SC_PAGE_SIZE"),
            memory_limit=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            pids=len(pids),
        )

    def final_usage(self) -> FinalUsage:
        """Nobody has counted."""
        return FinalUsage(0, 0)

    def processes(self) -> list[int]:
        """Pids of all that see what is mounted in it."""
        return [pid for pid in processes_of(self._path) if _runs(pid)]

    def oom_kills(self) -> int:
        """Nobody has counted."""
        return 0

    async def freeze(self) -> None:
        """Raises Conflict."""
        raise Conflict(f"cannot pause the container: {WHY}")

    async def thaw(self) -> None:
        """Nothing is frozen."""

    async def kill(self, number: int) -> None:
        """Send a signal to every process; SIGKILL until none is left."""
        killing.send(self.processes(), number)
        if number == signal.SIGKILL and not await until(self._killed):
            raise Conflict(f"cannot kill the processes of a container: {self.processes()} are still there")

    def _killed(self) -> bool:
        left = self.processes()
        killing.send(left, signal.SIGKILL)
        return not left

    def remove_silent(self) -> None:
        """There is nothing to remove."""

    async def remove(self) -> None:
        """There is nothing to remove."""

    def close(self) -> None:
        """There is nothing to close."""


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat behind the name: the state is the first (proc_pid_stat(5)); empty: it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()
    return []


def _runs(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], [b"Z"], [b"X"])


def _figures(pid: int) -> tuple[int, int, int]:
    """utime, stime in clock ticks, rss in pages."""
    fields = _stat(pid)
    return (int(fields[11]), int(fields[12]), int(fields[21])) if fields else (0, 0, 0)
