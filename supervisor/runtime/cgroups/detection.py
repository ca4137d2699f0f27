"""Which version of cgroups this machine has, and which of them a daemon without root may use."""

from __future__ import annotations

import contextlib
import os

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel.own_ids import is_rootless
from pysup.supervisor.runtime.cgroups import files, mounted
from pysup.supervisor.runtime.cgroups.base import Hierarchy
from pysup.supervisor.runtime.cgroups.none import NoCgroups
from pysup.supervisor.runtime.cgroups.v1 import Version1
from pysup.supervisor.runtime.cgroups.v2 import Version2

_OWN_LEAF = "pysup-daemon"
"""Where the daemon itself goes: a cgroup that hands controllers down has no processes of its own."""


def detect() -> Hierarchy:
    """Version 1 where any useful controller is on it (a hybrid too), else version 2.

    Raises Unavailable if nothing is mounted.
    """
    mounts, unified = mounted.find()
    if is_rootless():
        own = delegated(unified, files.text("/proc/self/cgroup"))
        return Version2(own, devices=False) if own else NoCgroups()
    if mounts:
        return Version1(mounts)
    if unified:
        return Version2(unified)
    raise Unavailable("cannot limit or watch containers: no cgroup hierarchy is mounted at /sys/fs/cgroup")


def delegated(unified: str, own: str) -> str:
    """The directory of this process's version 2 cgroup, if it was given away (cgroup-v2.rst, Delegation); else empty.

    ``own``: /proc/self/cgroup. The daemon moves into a cgroup below it, and knows it again by that.
    """
    path = next((line[len("0::") :] for line in own.splitlines() if line.startswith("0::")), "")
    top = unified + path.removesuffix(f"/{_OWN_LEAF}").rstrip("/")
    if (
        not unified
        or not path
        or not os.access(f"{top}/cgroup.procs", os.W_OK)
        or not os.access(top, os.W_OK)
    ):
        return ""
    with contextlib.suppress(FileExistsError):
        os.mkdir(f"{top}/{_OWN_LEAF}")
    for pid in files.text(f"{top}/cgroup.procs").split():
        with contextlib.suppress(OSError):
            files.write(f"{top}/{_OWN_LEAF}/cgroup.procs", pid)
    return top
