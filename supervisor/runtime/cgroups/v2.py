"""Cgroup version 2: one directory, whose parents hand the controllers down (cgroup-v2.rst)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Literal

from pysup.supervisor.errors import Conflict, PysupError, Unavailable
from pysup.supervisor.runtime.cgroups import (
    files,
    killing,
    needs,
    parents,
    tree,
    v2_devices,
    v2_limits,
    v2_usage,
)
from pysup.supervisor.runtime.cgroups.base import FinalUsage, Usage
from pysup.supervisor.runtime.cgroups.waiting import until
from pysup.supervisor.runtime.devices import CGROUP_RULES, EVERY_DEVICE
from pysup.supervisor.runtime.plan.facts import CgroupView
from pysup.supervisor.spec.resources import Resources

CONTROLLERS = frozenset({"cpu", "cpuset", "io", "memory", "pids"})
"""Those that limits and figures need; pause and device rules need none."""


class Version2:
    """The unified hierarchy."""

    version: Literal[2] = 2

    def __init__(self, mount: str, *, devices: bool = True) -> None:
        """``devices``: whether programs may decide on devices; an ordinary user may load none, and make no nodes."""
        self._mount = mount
        self._devices = devices
        self.controllers = frozenset(files.text(f"{mount}/cgroup.controllers").split()) & CONTROLLERS

    def prepare(self, parent: str) -> None:
        """Make the parent, with all controllers. Raises Unavailable."""
        try:
            self._hand_down(needs.check_path(parent), parents.make_for_daemon)
        except OSError as error:
            raise needs.cannot_create(error, parent) from error

    def release(self, parent: str) -> None:
        """Remove what prepare() made, where nothing is in it."""
        parents.remove_daemon_s(f"{self._mount}/{needs.check_path(parent)}")

    def check(self, resources: Resources) -> None:
        """Raise Unavailable if a limit has no controller, BadRequest for CPUs that are not there."""
        if resources.memory_swappiness is not None:
            raise Unavailable("cannot limit swappiness: this machine has none for a cgroup (cgroup v2)")
        if resources.oom_kill_disable:
            raise Unavailable("cannot disable the OOM killer: cgroup v2 has no switch for it")
        needs.check_controllers(resources, self.controllers, 2)
        if resources.cpuset_cpus or resources.cpuset_mems:
            there = (files.text(f"{self._mount}/cpuset.{kind}.effective") for kind in ("cpus", "mems"))
            needs.check_sets(resources, *there)

    def create(
        self, parent: str, name: str, resources: Resources, device_rules: tuple[str, ...] = CGROUP_RULES
    ) -> CgroupV2:
        """Make a cgroup with its limits in force, or nothing."""
        self.check(resources)
        cgroup = self.open(parent, name)
        try:
            self._hand_down(parent, parents.make)
            _make(cgroup.directory)
            cgroup.restrict_devices(device_rules if self._devices else EVERY_DEVICE)
            cgroup.apply(resources)
        except (OSError, PysupError) as error:
            cgroup.discard()
            if isinstance(error, PysupError):
                raise
            raise needs.cannot_create(error, name) from error
        return cgroup

    def _hand_down(self, parent: str, make: Callable[[str], None]) -> None:
        """Make the parents; each must let its children have the controllers before they do."""
        directory = self._mount
        _enable(directory, self.controllers)
        for part in filter(None, parent.split("/")):
            directory = f"{directory}/{part}"
            with contextlib.suppress(FileExistsError):
                make(directory)
            _enable(directory, self.controllers)

    def open(self, parent: str, name: str) -> CgroupV2:
        """One that is there."""
        return CgroupV2(f"{self._mount}/{needs.check_path(parent, name)}")

    def leftovers(self, parent: str) -> list[str]:
        """Names of what exists below a parent."""
        return sorted(tree.children(f"{self._mount}/{parent.strip('/')}"))

    def open_parent(self, parent: str) -> int | None:
        """The parent's directory."""
        return files.open_directory(f"{self._mount}/{parent.strip('/')}")


def _enable(directory: str, wanted: frozenset[str]) -> None:
    """Let children have the controllers.

    A cgroup other than the root cannot if it has processes itself ("no internal processes"): then only the
    limits that need one of them fail, by its missing file.
    """
    path = f"{directory}/cgroup.subtree_control"
    missing = sorted(wanted - set(files.text(path).split()))
    if not missing:
        return
    try:
        files.write(path, " ".join(f"+{name}" for name in missing))
    except OSError:
        for name in missing:
            with contextlib.suppress(OSError):
                files.write(path, f"+{name}")


def _make(directory: str) -> None:
    """What a crash left under this name goes first, since its limits are somebody else's."""
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        if not tree.removed(directory):
            raise Conflict(f"cannot create cgroup {directory}: it exists and has processes") from None
        os.mkdir(directory, 0o755)


class CgroupV2:
    """One container's directory."""

    join_paths: tuple[str, ...] = ()

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._fd = -1

    @property
    def fd(self) -> int | None:
        """Opened when it is first asked for."""
        if self._fd < 0:
            self._fd = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._fd

    @property
    def views(self) -> tuple[CgroupView, ...]:
        """The whole of /sys/fs/cgroup, which begins here in a cgroup namespace."""
        return (CgroupView("", "cgroup2", "", self.directory),)

    def restrict_devices(self, rules: tuple[str, ...]) -> None:
        """Let a program decide on devices, unless all are allowed. Raises Unavailable."""
        if rules != EVERY_DEVICE:
            assert self.fd is not None  # noqa: S101 - opened by asking
            v2_devices.restrict(self.fd, rules)

    def apply(self, resources: Resources) -> None:
        """Put limits in force; None leaves one as it is."""
        v2_limits.apply(resources, self.directory)

    def usage(self) -> Usage:
        """What it has used until now."""
        return v2_usage.usage(self.directory)

    def final_usage(self) -> FinalUsage:
        """What is remembered of a run."""
        cpu = files.table(f"{self.directory}/cpu.stat").get("usage_usec", 0)
        return FinalUsage(cpu * 1000, files.number(f"{self.directory}/memory.peak"))

    def processes(self) -> list[int]:
        """All pids, in cgroups below, too."""
        return tree.processes(self.directory)

    def oom_kills(self) -> int:
        """The count of memory.events, which includes cgroups below."""
        return files.table(f"{self.directory}/memory.events").get("oom_kill", 0)

    # -- stopping and ending ---------------------------------------------------------------------------------

    def start_freeze(self) -> None:
        """Ask for the freeze; a cgroup that is gone has nothing to freeze."""
        self._set_freeze("1")

    def _set_freeze(self, value: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            files.write(f"{self.directory}/cgroup.freeze", value)

    def is_frozen(self) -> bool:
        """What cgroup.events says; a cgroup that is gone counts as frozen."""
        return files.table(f"{self.directory}/cgroup.events").get("frozen", 1) == 1

    async def freeze(self) -> None:
        """Stop all processes. Raises Conflict if one does not stop."""
        self.start_freeze()
        if not await until(self.is_frozen):
            self._set_freeze("0")
            raise Conflict(f"cannot freeze cgroup {self.directory}: a process does not stop (in disk I/O?)")

    async def thaw(self) -> None:
        """Let them go on; the kernel does it at once."""
        self._set_freeze("0")

    async def kill(self, number: int) -> None:
        """Send a signal to every process; SIGKILL until none is left: at one stroke, since Linux 5.14."""
        if number != signal.SIGKILL:
            return killing.send(self.processes(), number)
        with contextlib.suppress(FileNotFoundError):
            files.write(f"{self.directory}/cgroup.kill", "1")
            if await until(self._is_empty):
                return None
        return await killing.kill_all(self, self.directory)

    def _is_empty(self) -> bool:
        return files.table(f"{self.directory}/cgroup.events").get("populated", 0) == 0

    def discard(self) -> None:
        """Remove what can be removed at once, whatever the errors: the end of a creation that failed."""
        with contextlib.suppress(OSError):
            self._removed()
        self.close()

    def _removed(self) -> bool:
        gone = tree.removed(self.directory)
        if gone:
            parents.remove_unused(os.path.dirname(self.directory))
        return gone

    def remove_silent(self) -> None:
        """The one directory has all figures."""

    async def remove(self) -> None:
        """Remove it with all below. Raises Conflict if it stays busy."""
        if not await until(self._removed):
            raise Conflict(
                f"cannot remove cgroup {self.directory}: it still has processes: {self.processes()}"
            )
        self.close()

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
