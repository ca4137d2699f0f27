"""Finds out, once for each daemon, what plans need to know of the machine."""

from __future__ import annotations

import os
import shutil

from pysup.supervisor.kernel import mountinfo, own_ids
from pysup.supervisor.kernel.capabilities import NAMES, own_bounding
from pysup.supervisor.runtime.plan import Machine

INITS = ("docker-init", "tini-static", "tini", "catatonit")
"""Programs that fit --init: they reap, forward signals and take ``-- ARGV``."""
_PATH = "/usr/local/libexec/docker:/usr/libexec/docker:/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin"
_TTY_GROUP = 5
_MOUNT_POINTS = (
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/fs/fuse/connections",
    "/sys/fs/pstore",
    "/sys/fs/selinux",
    "/sys/fs/smackfs",
    "/sys/firmware/efi/efivars",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
)
"""Directories of sysfs that are always empty (sysfs_create_mount_point): a mount on them hides nothing."""


def survey(skeleton: str = "") -> Machine:
    """Look at this process's capabilities, the CPUs, the mounts and the programs installed."""
    points = [line.split(" ")[4] for line in mountinfo.lines(mountinfo.read())]
    return Machine(
        capabilities=capabilities(),
        cpus=os.sysconf("SC_NPROCESSORS_CONF"),
        init=find_init(),
        sysfs=shows_all_of_sysfs(points),
        rootless=own_ids.is_rootless(),
        skeleton=skeleton,
        tty_group=own_ids.has(_TTY_GROUP, "gid"),
        last_group=max(one.inside + one.size - 1 for one in own_ids.own_map("gid")),
        oom_score=_oom_score() if own_ids.is_rootless() else -1000,
    )


def _oom_score() -> int:
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        return int(file.read())


def security_modules() -> frozenset[str]:
    """Those of the kernel that are in force: ``apparmor``, ``selinux``."""
    found = {"selinux"} if os.path.exists("/sys/fs/selinux/enforce") else set()
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as file:
            return frozenset({"apparmor", *found} if file.read().startswith("Y") else found)
    except FileNotFoundError:
        return frozenset(found)


def capabilities() -> tuple[str, ...]:
    """Names of the daemon's own bounding set."""
    own = own_bounding()
    return tuple(name for name, number in NAMES.items() if number in own)


def find_init() -> str:
    """A program for --init, as a path without links; empty if none is installed."""
    found = next(filter(None, (shutil.which(name, path=_PATH) for name in INITS)), "")
    return os.path.realpath(found) if found else ""


def shows_all_of_sysfs(mount_points: list[str]) -> bool:
    """Whether a user namespace may mount sysfs: only if the one here shows everything (mount_too_revealing)."""
    if "/sys" not in mount_points:
        return False
    below = [point for point in mount_points if point.startswith("/sys/")]
    return all(any(f"{point}/".startswith(f"{empty}/") for empty in _MOUNT_POINTS) for point in below)
