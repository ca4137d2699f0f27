"""Docker's default mounts (moby oci/defaults.go), changed where a namespace is the host's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pysup.supervisor.kernel.mounts import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REMOUNT,
    MS_STRICTATIME,
)
from pysup.supervisor.runtime.plan import namespaces
from pysup.supervisor.runtime.plan.facts import CgroupView, Facts, Step
from pysup.supervisor.spec.container import ContainerSpec, Namespaces

PLAIN = MS_NOSUID | MS_NOEXEC | MS_NODEV
_TTY_GROUP = 5
CGROUPS = "/sys/fs/cgroup"
SHARED_MEMORY = "shm"
"""The name of a copy of another container's /dev/shm."""
OTHER_PROC, OTHER_SYS, OTHER_QUEUES = "other-proc", "other-sys", "other-queues"
"""The names of file systems that show another container's processes, network and message queues."""


class Default(NamedTuple):
    """A default mount: the steps that make it, at a target where a user's own mount takes its place."""

    target: str
    steps: list[Step]
    ahead: tuple[Step, ...] = ()
    """Steps before those, which need nothing of the container: they can be done on the stage."""


def defaults(spec: ContainerSpec, facts: Facts) -> Iterator[Default]:
    """Every default mount, a parent before what lies in it."""
    spaces = spec.namespaces
    yield _proc(spaces, facts)
    yield _tmpfs("/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k")
    yield _pts(spaces, facts)
    yield _sys(spec, facts)
    yield _cgroups(spec, facts)
    yield from _ipc(spec, facts)
    if is_host_image(spec):
        yield _tmpfs("/run", MS_NOSUID | MS_NODEV, "mode=755")
        yield _tmpfs("/tmp", MS_NOSUID | MS_NODEV, "mode=1777")  # noqa: S108 - a mount point


def is_host_image(spec: ContainerSpec) -> bool:
    """Whether the machine's own root is a layer: what lives in /run and /tmp is the machine's then."""
    return "/" in spec.rootfs.lower


def tmpfs(target: str, flags: int, data: str) -> Step:
    """A step that mounts a tmpfs."""
    return ["mount", "tmpfs", "tmpfs", target, flags, data]


def bind(source: str, target: str, *, read_only: bool = False, recursive: bool = True) -> Step:
    """A step that binds a host's file or directory of the system, apart from the host's later mounts."""
    options = {"recursive": recursive, "read_only": read_only, "propagation": "rprivate", "create": False}
    return ["bind", source, target, options]


def _given(target: str, name: str) -> Default:
    """A detached mount that an earlier step has made, or taken."""
    return Default(target, [["bind", "", target, {"tree": name}]])


def _tmpfs(target: str, flags: int, data: str) -> Default:
    return Default(target, [tmpfs(target, flags, data)])


def is_confined(spaces: Namespaces, facts: Facts) -> bool:
    """Whether the set-up has no power over the host's namespaces and devices: it is in a user namespace."""
    return spaces.user == "private" or facts.machine.rootless


def _proc(spaces: Namespaces, facts: Facts) -> Default:
    """Shows the pid namespace, so it needs rights over that; a user namespace has none over the host's."""
    if "pid" in facts.foreign:
        return _given("/proc", OTHER_PROC)
    if is_confined(spaces, facts) and spaces.pid == "host":
        return Default("/proc", [bind("/proc", "/proc")])
    return Default("/proc", [["mount", "proc", "proc", "/proc", PLAIN, ""]])


def _pts(spaces: Namespaces, facts: Facts) -> Default:
    there = facts.machine.tty_group and namespaces.has_id(namespaces.gid_maps(spaces), _TTY_GROUP)
    group = f",gid={_TTY_GROUP}" if there else ""
    data = f"newinstance,ptmxmode=0666,mode=0620{group}"
    return Default("/dev/pts", [["mount", "devpts", "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, data]])


def _sys(spec: ContainerSpec, facts: Facts) -> Default:
    """A mount shows the network namespace, and needs rights over it, as for /proc."""
    if "net" in facts.foreign:
        return _given("/sys", OTHER_SYS)
    if _binds_sys(spec.namespaces, facts):
        return Default("/sys", [bind("/sys", "/sys", read_only=True)])
    return Default("/sys", [["mount", "sysfs", "sysfs", "/sys", PLAIN | _read_only(spec), ""]])


def _read_only(spec: ContainerSpec) -> int:
    """Only a privileged container may write to /sys."""
    return 0 if spec.security.privileged else MS_RDONLY


def _binds_sys(spaces: Namespaces, facts: Facts) -> bool:
    shared = spaces.net == "host" or (spaces.net == "container" and facts.machine.rootless)
    return is_confined(spaces, facts) and (shared or not facts.machine.sysfs)


def _ipc(spec: ContainerSpec, facts: Facts) -> Iterator[Default]:
    """POSIX message queues and shared memory; a message queue mount shows the ipc namespace, as for /proc."""
    shared = spec.namespaces.ipc == "host"
    if "ipc" in facts.foreign:
        yield _given("/dev/mqueue", OTHER_QUEUES)
    elif not (shared and is_confined(spec.namespaces, facts)):
        yield Default("/dev/mqueue", [["mount", "mqueue", "mqueue", "/dev/mqueue", PLAIN, ""]])
    if shared:
        yield Default("/dev/shm", [bind("/dev/shm", "/dev/shm")])  # noqa: S108 - a mount point
    elif spec.namespaces.ipc == "container":
        yield _given("/dev/shm", SHARED_MEMORY)  # noqa: S108 - a mount point
    elif spec.namespaces.ipc != "none":
        yield _tmpfs("/dev/shm", PLAIN, f"mode=1777,size={spec.shm_size}")  # noqa: S108


def _cgroups(spec: ContainerSpec, facts: Facts) -> Default:
    """The container's own cgroups, read-only (CVE-2022-0492), and no hierarchy that it is not in.

    In a cgroup namespace a mount begins at the container's cgroup; without one of its own, that directory is bound.
    Where /sys is the host's, its cgroup mount is covered first: the kernel refuses one file system twice in one place.
    """
    spaces, views = spec.namespaces, facts.cgroup_views
    ground = tmpfs(CGROUPS, PLAIN, "mode=755")
    if facts.is_unified:
        cover = [ground] if _binds_sys(spaces, facts) else []
        return Default(CGROUPS, [*cover, *(_cgroup(spec, view, CGROUPS) for view in views)])
    steps = [_cgroup(spec, view, f"{CGROUPS}/{view.name}") for view in views]
    steps += [["symlink", view.name, f"{CGROUPS}/{other}"] for view in views for other in _other_names(view)]
    return Default(CGROUPS, [*steps, tmpfs(CGROUPS, MS_REMOUNT | MS_BIND | MS_RDONLY | PLAIN, "")], (ground,))


def _cgroup(spec: ContainerSpec, view: CgroupView, target: str) -> Step:
    if spec.namespaces.cgroup != "private":
        return bind(view.directory, target, read_only=not spec.security.privileged)
    return ["mount", view.fstype, "cgroup", target, PLAIN | _read_only(spec), view.data]


def _other_names(view: CgroupView) -> list[str]:
    """Controllers that share a hierarchy (``cpu,cpuacct``) are found by their own names, too."""
    return [name for name in view.data.split(",") if name != view.name and "=" not in name]
