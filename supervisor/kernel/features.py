"""What this machine's kernel can do for containers, and what each lack costs: ``pysup info``, ``/pysup/info``.

A feature is tried or read, never concluded from the kernel's version.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import TypedDict

from pysup.supervisor.kernel import mountinfo, own_ids

LINUX_ONLY = "pysup daemon needs Linux 5.12 or newer; this machine can only drive another one's daemon"


class Feature(TypedDict):
    """Whether it is there, what was found, and what is lost without it (empty if it is there)."""

    present: bool
    detail: str
    cost: str


@functools.cache
def probe() -> dict[str, Feature]:
    """Every feature by its name, in the order in which they matter. Takes some 20 ms the first time."""
    if sys.platform != "linux":
        return {"linux": Feature(present=False, detail=sys.platform, cost=LINUX_ONLY)}
    return {name: _feature(check(), cost) for name, (check, cost) in _CHECKS.items()}


def _feature(detail: str, cost: str) -> Feature:
    return Feature(present=bool(detail), detail=detail, cost="" if detail else cost)


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        return file.read()
    return ""


def _cgroup_mounts() -> list[tuple[str, str, str]]:
    """(type, mount point, options) of each cgroup hierarchy (proc_pid_mountinfo(5))."""
    found = []
    with contextlib.suppress(OSError):
        for line in mountinfo.lines(mountinfo.read()):
            before, _, after = line.partition(" - ")
            kind, *rest = after.split(" ")
            if kind in ("cgroup", "cgroup2"):
                found.append((kind, before.split(" ")[4], rest[-1]))
    return found


def _cgroup_v1() -> str:
    known = {line.split()[0] for line in _read("/proc/cgroups").splitlines()[1:]}
    options = {name for kind, _path, text in _cgroup_mounts() if kind == "cgroup" for name in text.split(",")}
    return " ".join(sorted(options & known))


def _cgroup_v2() -> str:
    paths = [path for kind, path, _options in _cgroup_mounts() if kind == "cgroup2"]
    return f"{_read(paths[0] + '/cgroup.controllers').strip() or 'no controllers'}" if paths else ""


def _cgroup_kill() -> str:
    """cgroup.kill is in every cgroup but the root one (cgroup v2, Linux 5.14)."""
    for kind, path, _options in _cgroup_mounts():
        if kind == "cgroup2":
            with os.scandir(path) as entries:
                inner = next((entry.path for entry in entries if entry.is_dir(follow_symlinks=False)), path)
            return "cgroup.kill" if os.path.exists(f"{inner}/cgroup.kill") else ""
    return ""


def _overlayfs() -> str:
    """filesystems(5), and a module that is not loaded yet."""
    if "overlay" in _read("/proc/filesystems").split():
        return "built in or loaded"
    modules = _read(f"/lib/modules/{os.uname().release}/modules.dep")
    return "a module" if "/overlay.ko" in modules else ""


def _user_namespaces() -> str:
    limit = _read("/proc/sys/user/max_user_namespaces").strip()
    return f"at most {limit}" if limit not in ("", "0") else ""


def _idmapped_mounts() -> str:
    """mount_setattr(2) came with them; which file systems can be mapped shows only in use."""
    from pysup.supervisor.kernel import libc, mounts  # noqa: PLC0415 - Linux only

    if own_ids.is_rootless():  # it takes root's power over the file system
        return ""
    try:
        mounts.mount_setattr(-1, attr_set=mounts.MOUNT_ATTR_IDMAP)
    except libc.KernelError as error:
        return "" if error.errno == errno.ENOSYS else "mount_setattr"
    return "mount_setattr"


def _seccomp() -> str:
    return _read("/proc/sys/kernel/seccomp/actions_avail").strip()


def _exit_info() -> str:
    """Let a child end, reap it, and ask for its status all the same."""
    from pysup.supervisor.kernel import process  # noqa: PLC0415 - Linux only

    pid = os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-c", ""], {})
    pidfd = process.pidfd_open(pid)
    try:
        os.waitpid(pid, 0)
        return "PIDFD_GET_INFO" if process.pidfd_exit_info(pidfd) is not None else ""
    finally:
        os.close(pidfd)


def _pressure() -> str:
    return "/proc/pressure" if _read("/proc/pressure/memory") else ""


def _children_list() -> str:
    path = f"/proc/self/task/{os.getpid()}/children"
    return "CONFIG_PROC_CHILDREN" if os.path.exists(path) else ""


def _root() -> str:
    return "" if own_ids.is_rootless() else "the machine's"


def _ids() -> str:
    return f"{own_ids.count('uid')} of users, {own_ids.count('gid')} of groups"


_CHECKS: dict[str, tuple[Callable[[], str], str]] = {
    "kernel": (lambda: os.uname().release, ""),
    "root": (
        _root,
        "rootless: no macvlan and ipvlan networks, no device nodes, --userns auto for the host image alone, no limits "
        "and no pause without a delegated cgroup",
    ),
    "ids": (_ids, "files of an image belong to root"),
    "cgroup v1": (_cgroup_v1, "none, where cgroup v2 has the controllers"),
    "cgroup v2": (
        _cgroup_v2,
        "none, where cgroup v1 has the controllers; without both: no limits, figures, pause",
    ),
    "cgroup.kill": (_cgroup_kill, "a group is thawed and killed process by process"),
    "overlayfs": (_overlayfs, "no write layer over an image: containers cannot start"),
    "user namespaces": (_user_namespaces, "no --userns private"),
    "idmapped mounts": (
        _idmapped_mounts,
        "no --userns auto; with --uidmap, files of images and volumes show the host's ids",
    ),
    "seccomp": (_seccomp, "no system call filter"),
    "exit info": (_exit_info, "if the keeper itself is killed, exit codes may be unknown (255)"),
    "pressure": (_pressure, "no pressure figures"),
    "children list": (_children_list, "orphans of containers with --pid host stay zombies"),
}
"""What is tried for each feature (its detail, empty if it is not there), and the cost of its lack."""
