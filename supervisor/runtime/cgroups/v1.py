"""Cgroup version 1: one directory in each of several hierarchies (Documentation/admin-guide/cgroup-v1)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable
from typing import Literal

from pysup.supervisor.errors import Conflict, PysupError, Unavailable
from pysup.supervisor.runtime.cgroups import files, killing, needs, parents, tree, v1_limits, v1_usage
from pysup.supervisor.runtime.cgroups.base import FinalUsage, Usage
from pysup.supervisor.runtime.cgroups.mounted import Mounted
from pysup.supervisor.runtime.cgroups.waiting import until
from pysup.supervisor.runtime.devices import CGROUP_RULES, EVERY_DEVICE
from pysup.supervisor.runtime.plan.facts import CgroupView
from pysup.supervisor.spec.resources import Resources

_FROZEN, _THAWED = "FROZEN", "THAWED"
_TELLING = ("cpuacct", "memory")
"""Controllers whose figures are remembered of a run (final_usage(), oom_kills())."""
_NOWHERE = "/dev/null"
"""The directory in a hierarchy that is not mounted: no file can be found below it."""


class Version1:
    """The hierarchies of controllers that matter here; the bare version 2 one of a hybrid is not used.

    The freezer's comes first: a process joins in this order, so whoever is in any of them can be frozen.
    """

    version: Literal[1] = 1

    def __init__(self, mounts: Iterable[Mounted]) -> None:
        self._mounts = tuple(sorted(mounts, key=lambda mount: "freezer" not in mount.controllers))
        self.controllers = frozenset(name for mount in self._mounts for name in mount.controllers)
        self._prepared: set[str] = set()
        """Parents that stay."""

    def prepare(self, parent: str) -> None:
        """Make the parent in every hierarchy. Raises Unavailable."""
        path = needs.check_path(parent)
        try:
            for mount in self._mounts:
                _make_parents(f"{mount.path}/{path}", parents.make_for_daemon)
        except OSError as error:
            raise needs.cannot_create(error, parent) from error
        self._prepared.add(path)

    def release(self, parent: str) -> None:
        """Remove what prepare() made, where nothing is in it."""
        for mount in self._mounts:
            parents.remove_daemon_s(f"{mount.path}/{needs.check_path(parent)}")

    def check(self, resources: Resources) -> None:
        """Raise Unavailable if a limit has no controller, BadRequest for CPUs that are not there."""
        needs.check_controllers(resources, self.controllers, 1)
        root = next((mount.path for mount in self._mounts if "cpuset" in mount.controllers), "")
        if resources.cpuset_cpus or resources.cpuset_mems:
            there = (files.text(f"{root}/cpuset.effective_{kind}") for kind in ("cpus", "mems"))
            needs.check_sets(resources, *there)

    def create(
        self, parent: str, name: str, resources: Resources, device_rules: tuple[str, ...] = CGROUP_RULES
    ) -> CgroupV1:
        """Make a cgroup in every hierarchy, with limits and device rules in force, or none at all."""
        self.check(resources)
        cgroup = self.open(parent, name)
        try:
            cgroup.make(device_rules)
            cgroup.apply(resources)
        except (OSError, PysupError) as error:
            with contextlib.suppress(OSError):
                cgroup.remove_now()
            if isinstance(error, PysupError):
                raise
            raise needs.cannot_create(error, name) from error
        return cgroup

    def open(self, parent: str, name: str) -> CgroupV1:
        """One that is there."""
        path = needs.check_path(parent, name)
        return CgroupV1(self._mounts, path, parent_stays=os.path.dirname(path) in self._prepared)

    def leftovers(self, parent: str) -> list[str]:
        """Names of what exists below a parent in any hierarchy."""
        found: set[str] = set()
        for mount in self._mounts:
            found.update(tree.children(f"{mount.path}/{parent.strip('/')}"))
        return sorted(found)

    def open_parent(self, parent: str) -> int | None:
        """The parent's directory in the hierarchy that comes first."""
        return files.open_directory(f"{self._mounts[0].path}/{parent.strip('/')}")


class CgroupV1:
    """One container's directories."""

    fd = None

    def __init__(self, mounts: tuple[Mounted, ...], path: str, *, parent_stays: bool) -> None:
        self._mounts = mounts
        self._path = path
        self._parent_stays = parent_stays
        self._unique = [f"{mount.path}/{path}" for mount in mounts]
        self._left = self._unique
        """Those that are not removed yet."""
        self._directories = {
            controller: f"{mount.path}/{path}" for mount in mounts for controller in mount.controllers
        }

    @property
    def join_paths(self) -> tuple[str, ...]:
        """``tasks``, not ``cgroup.procs``: that waits for all CPUs, 9 ms."""
        return tuple(f"{directory}/tasks" for directory in self._unique)

    @property
    def views(self) -> tuple[CgroupView, ...]:
        """Each hierarchy under the name that the host has for it."""
        return tuple(
            CgroupView(mount.name, "cgroup", ",".join(mount.controllers), f"{mount.path}/{self._path}")
            for mount in self._mounts
        )

    def _where(self, controller: str) -> str:
        return self._directories.get(controller, _NOWHERE)

    # -- making ----------------------------------------------------------------------------------------------

    def make(self, device_rules: tuple[str, ...]) -> None:
        """Make the directories. Raises OSError, Conflict if one is there and in use."""
        for directory in self._unique:
            _make(directory)
        if "cpuset" in self._directories:
            _inherit_sets(self._where("cpuset"))
        if device_rules != EVERY_DEVICE:
            self._restrict_devices(device_rules)

    def _restrict_devices(self, rules: tuple[str, ...]) -> None:
        if "devices" not in self._directories:
            raise Unavailable("cannot restrict devices: this machine has no devices controller (cgroup v1)")
        directory = self._where("devices")
        files.write(f"{directory}/devices.deny", "a")
        files.write(f"{directory}/devices.allow", *rules)

    def apply(self, resources: Resources) -> None:
        """Put limits in force; None leaves one as it is."""
        needs.check_controllers(resources, self._directories, 1)
        v1_limits.apply(resources, self._where)

    # -- looking ---------------------------------------------------------------------------------------------

    def usage(self) -> Usage:
        """What it has used until now."""
        return v1_usage.usage(self._where)

    def final_usage(self) -> FinalUsage:
        """What is remembered of a run."""
        return FinalUsage(
            files.number(f"{self._where('cpuacct')}/cpuacct.usage"),
            files.number(f"{self._where('memory')}/memory.max_usage_in_bytes"),
        )

    def processes(self) -> list[int]:
        """All pids; the hierarchy that is joined first has them all."""
        return tree.processes(self._unique[0])

    def oom_kills(self) -> int:
        """The count of memory.oom_control (Linux 4.13)."""
        return files.table(f"{self._where('memory')}/memory.oom_control").get("oom_kill", 0)

    # -- stopping and ending ---------------------------------------------------------------------------------

    def start_freeze(self) -> None:
        """Ask for the freeze. A cgroup that is gone, or a machine without a freezer, has nothing to freeze."""
        self._set_state(_FROZEN)

    def _set_state(self, state: str) -> None:
        try:
            files.write(f"{self._where('freezer')}/freezer.state", state)
        except (FileNotFoundError, NotADirectoryError):
            return

    def is_frozen(self) -> bool:
        """FREEZING means: not all yet. Each look makes the kernel look again."""
        return files.text(f"{self._where('freezer')}/freezer.state") in (_FROZEN, "")

    async def freeze(self) -> None:
        """Stop all processes. Raises Unavailable without a freezer, Conflict if one does not stop."""
        if "freezer" not in self._directories:
            raise Unavailable("cannot pause: this machine has no freezer controller (cgroup v1)")
        self.start_freeze()
        if not await until(self.is_frozen):
            self._set_state(_THAWED)
            raise Conflict(f"cannot freeze cgroup {self._path}: a process does not stop (in disk I/O?)")

    async def thaw(self) -> None:
        """Let them go on; the kernel does it at once."""
        self._set_state(_THAWED)

    async def kill(self, number: int) -> None:
        """Send a signal to every process; SIGKILL until none is left."""
        if number == signal.SIGKILL:
            await killing.kill_all(self, self._path)
        else:
            killing.send(self.processes(), number)

    def remove_silent(self) -> None:
        """Remove what tells nothing of the run, as far as it is empty: all but usage and OOM kills."""
        telling = {self._where(controller) for controller in _TELLING}
        self._left = [one for one in self._left if one in telling or not _removed_quietly(one)]

    def remove_now(self) -> bool:
        """Remove what can be removed at once; True if that is all."""
        self._left = [directory for directory in self._left if not tree.removed(directory)]
        for directory in self._unique if not (self._left or self._parent_stays) else ():
            parents.remove_unused(directory.rpartition("/")[0])
        return not self._left

    async def remove(self) -> None:
        """Remove all directories. Raises Conflict if one stays busy."""
        if not await until(self.remove_now):
            raise Conflict(f"cannot remove cgroup {self._path}: it still has processes: {self.processes()}")

    def close(self) -> None:
        """Nothing is held open."""


def _removed_quietly(directory: str) -> bool:
    with contextlib.suppress(OSError):
        return tree.removed(directory)
    return False


def _make(directory: str) -> None:
    """mkdir -p; what a crash left under this name goes first, since its limits are somebody else's."""
    try:
        os.mkdir(directory, 0o755)
    except FileNotFoundError:
        _make_parents(os.path.dirname(directory), parents.make)
        os.mkdir(directory, 0o755)
    except FileExistsError:
        if not tree.removed(directory):
            raise Conflict(f"cannot create cgroup {directory}: it exists and has processes") from None
        os.mkdir(directory, 0o755)


def _make_parents(directory: str, make: Callable[[str], None]) -> None:
    try:
        make(directory)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_parents(os.path.dirname(directory), make)
        make(directory)
    if os.path.exists(f"{directory}/cpuset.cpus"):
        _inherit_sets(directory)
        files.write(f"{directory}/cgroup.clone_children", "1")


def _inherit_sets(directory: str) -> None:
    """A new cpuset is empty, and takes no process before it has CPUs and memory nodes (cpusets.rst).

    Below a parent that was made here it has them from the beginning: cgroup.clone_children (cgroups.rst).
    """
    if files.text(f"{directory}/cpuset.mems"):
        return
    for name in ("cpuset.cpus", "cpuset.mems"):
        files.write(f"{directory}/{name}", files.read(f"{os.path.dirname(directory)}/{name}").strip())
