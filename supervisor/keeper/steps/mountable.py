"""Where nothing may be mounted, however a path leads there: on the container's root, and on or in its /proc.

What is written to /proc is for the kernel, and what is read there is believed. As a volume's file it would be nobody's,
or another one's (CVE-2019-19921, CVE-2025-52881); and over a mask it would take its place. The rules are runc's
(libcontainer/rootfs_linux.go, checkProcMount). /sys and /dev may be covered, as with docker.
"""

from __future__ import annotations

import errno

from pysup.supervisor.keeper.steps.context import Context, StepError
from pysup.supervisor.kernel import mounts

EMULATED = frozenset(
    f"/proc/{name}"
    for name in (
        *("cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime"),
        *("sys/crypto/fips_enabled", "sys/kernel/ns_last_pid"),
    )
)
"""Files that lxcfs and its like show in place of the kernel's."""
_PROC = "/proc"
_PROC_ROOT_INO = 1
"""The inode of a proc file system's top (Linux, include/linux/proc_fs.h)."""


def check(context: Context, target: int, *, tree: int | None = None, fstype: str = "") -> None:
    """Raises StepError if nothing may be mounted on what a descriptor is of.

    ``tree``: the detached mount that is to be put there; ``fstype``: the file system that is to be made there.
    """
    place = _place(context, target)
    if not place:
        raise StepError(errno.EPERM, "it leads to the root, which nothing may cover")
    if place == _PROC and fstype != "proc" and (tree is None or not _is_whole_proc(context, tree)):
        raise StepError(errno.EPERM, "only a proc file system may be mounted on /proc")
    if place.startswith(f"{_PROC}/") and place not in EMULATED:
        raise StepError(errno.EPERM, f"nothing may be mounted on {place}, because it is inside /proc")


def _is_whole_proc(context: Context, tree: int) -> bool:
    """Whether a detached mount shows a proc file system from its top."""
    if context.system.filesystem_type(tree) != mounts.PROC_SUPER_MAGIC:
        return False
    return context.system.fstat(tree).st_ino == _PROC_ROOT_INO


def _place(context: Context, target: int) -> str:
    """Where in the container a descriptor leads, as the kernel itself tells; empty: to its root."""
    root, path = (context.system.readlink(f"/proc/self/fd/{fd}") for fd in (context.root, target))
    if path != root and not path.startswith(f"{root.rstrip('/')}/"):
        raise StepError(errno.EXDEV, "it is not in the container's root any more")
    return path[len(root.rstrip("/")) :] if path != root else ""
