"""What a cgroup can do, whichever version the machine has (cgroups(7)). The engine knows only these types.

All calls are plain small file I/O, fit for the event loop; those that may have to wait are async and bounded.
Units: bytes, nanoseconds, counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from pysup.supervisor.runtime.devices import CGROUP_RULES
from pysup.supervisor.runtime.plan.facts import CgroupView
from pysup.supervisor.spec.resources import Resources

CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
"""The version 1 controllers that limits, figures and pause need; no other hierarchy is touched."""


@dataclass(frozen=True, slots=True)
class BlockCount:
    """Bytes or operations of one block device: docker's entry in blkio_stats."""

    major: int
    minor: int
    op: str
    """``Read``, ``Write``, ``Sync``, ``Async``, ``Discard`` or ``Total``."""
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a cgroup has used, enough for docker's stats. A figure that the machine does not keep is 0."""

    cpu_ns: int = 0
    cpu_user_ns: int = 0
    cpu_system_ns: int = 0
    cpu_each_ns: tuple[int, ...] = ()
    """Of each CPU; version 1 only."""
    cpus_online: int = 0
    machine_cpu_ns: int = 0
    """What all CPUs of the machine have run for, idle time too: docker's ``system_cpu_usage``."""
    throttle_periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    memory: int = 0
    memory_limit: int = 0
    """The limit in force; the machine's memory if there is none."""
    memory_peak: int = 0
    memory_failures: int = 0
    """How often the limit was hit; version 1 only."""
    memory_stat: dict[str, int] = field(default_factory=dict)
    """memory.stat as it is."""
    pids: int = 0
    pids_limit: int = 0
    """0: none."""
    block_bytes: tuple[BlockCount, ...] = ()
    block_operations: tuple[BlockCount, ...] = ()


class FinalUsage(NamedTuple):
    """What is remembered of a run."""

    cpu_ns: int
    memory_peak: int
    """0 where it is not kept (version 2 before Linux 5.19)."""


class Cgroup(Protocol):
    """One container's cgroup: a directory in each hierarchy."""

    @property
    def join_paths(self) -> tuple[str, ...]:
        """The ``tasks`` files that the process writes itself into; none on version 2."""

    @property
    def fd(self) -> int | None:
        """The directory, for CLONE_INTO_CGROUP; None on version 1. Closed by remove() and close()."""

    @property
    def views(self) -> tuple[CgroupView, ...]:
        """What the container sees of it below /sys/fs/cgroup."""

    def apply(self, resources: Resources) -> None:
        """Put limits in force; None leaves one as it is. Raises Unavailable, BadRequest, Conflict."""

    def usage(self) -> Usage:
        """What it has used until now; all 0 if it is gone."""

    def final_usage(self) -> FinalUsage:
        """The two figures that are remembered when all has ended, at a twentieth of the cost of usage()."""

    def processes(self) -> list[int]:
        """Pids of all processes in it and below, in this process's pid namespace."""

    def oom_kills(self) -> int:
        """How many of its processes the OOM killer has ended."""

    async def freeze(self) -> None:
        """Stop all processes where they are. Raises Conflict if they do not stop within a bounded time."""

    async def thaw(self) -> None:
        """Let them go on."""

    async def kill(self, number: int) -> None:
        """Send a signal to every process. SIGKILL: until none is left, frozen or not, for a bounded time."""

    def remove_silent(self) -> None:
        """Remove what tells nothing of the run, as far as it is empty; the figures stay until remove()."""

    async def remove(self) -> None:
        """Remove it; its processes have ended or are about to. Raises Conflict if it stays busy."""

    def close(self) -> None:
        """Let go of the descriptor; the cgroup stays."""


class Hierarchy(Protocol):
    """The machine's cgroup hierarchies as one. Parents are relative to their mounts (``pysup``, ``a/b``)."""

    @property
    def version(self) -> Literal[0, 1, 2]:
        """Which of the two is used; 0: none."""

    @property
    def controllers(self) -> frozenset[str]:
        """Names of the usable controllers, as their version calls them (``blkio`` or ``io``)."""

    def prepare(self, parent: str) -> None:
        """Make the parent, so that a machine where that is impossible is told of at once (Unavailable)."""

    def release(self, parent: str) -> None:
        """The daemon ends: remove the parent, if prepare() made it and nothing is in it."""

    def check(self, resources: Resources) -> None:
        """Raise Unavailable, naming it, if what a limit needs is missing; BadRequest if it is impossible."""

    def create(
        self, parent: str, name: str, resources: Resources, device_rules: tuple[str, ...] = CGROUP_RULES
    ) -> Cgroup:
        """Make a cgroup with its limits in force, or nothing at all. Raises as check() and apply().

        ``device_rules``: all that is allowed, in the form of devices.allow (runtime/devices.py).
        """

    def open(self, parent: str, name: str) -> Cgroup:
        """One that an earlier engine made (parts of it may be missing)."""

    def leftovers(self, parent: str) -> Sequence[str]:
        """Names of all cgroups that exist below a parent, in any hierarchy."""

    def open_parent(self, parent: str) -> int | None:
        """A descriptor of the parent's directory in one hierarchy, for flock(2); None if there is none."""
