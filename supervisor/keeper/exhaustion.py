"""Which limit a refused clone3(2) or unshare(2) has met: their errno names none (namespaces(7), clone(2))."""

from __future__ import annotations

import errno
import os

from pysup.supervisor.kernel import process
from pysup.supervisor.kernel.libc import KernelError

_WORDS = {"mnt": "mount", "net": "network"}


def of_namespace(name: str) -> str:
    """What the kernel has no more of, when it refuses one namespace with ENOSPC. ``name``: as in /proc/PID/ns."""
    return f"{_WORDS.get(name, name)} namespaces: limit user.max_{name}_namespaces reached"


def cause(number: int, flags: int, *, in_cgroup: bool) -> str:
    """Why a clone3(2) with these flags was refused; empty where the errno tells enough, or nothing is found.

    ``in_cgroup``: with CLONE_INTO_CGROUP. Each namespace is tried alone, by a child that ends at once.
    """
    if number == errno.EAGAIN:
        cgroup = "its cgroup (--pids-limit)" if in_cgroup else "the daemon's cgroup"
        return (
            f"no more processes: limit of {cgroup}, kernel.pid_max, kernel.threads-max or ulimit -u reached"
        )
    if number != errno.ENOSPC:
        return ""
    wanted = (name for name, flag in process.NAMESPACES.items() if flags & flag)
    return ", ".join(of_namespace(name) for name in wanted if not _can_make(process.NAMESPACES[name]))


def _can_make(flag: int) -> bool:
    try:
        pid, pidfd = process.clone3(flag)
    except KernelError as error:
        return error.errno != errno.ENOSPC
    if pid == 0:
        os._exit(0)
    process.kill_and_reap(pidfd)
    os.close(pidfd)
    return True
