"""Which version of cgroups this machine has."""

from __future__ import annotations

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.runtime.cgroups import mounted
from pysup.supervisor.runtime.cgroups.base import Hierarchy
from pysup.supervisor.runtime.cgroups.v1 import Version1
from pysup.supervisor.runtime.cgroups.v2 import Version2


def detect() -> Hierarchy:
    """Version 1 where any useful controller is on it (a hybrid too), else version 2.

    Raises Unavailable if nothing is mounted.
    """
    mounts, unified = mounted.find()
    if mounts:
        return Version1(mounts)
    if unified:
        return Version2(unified)
    raise Unavailable("cannot limit or watch containers: no cgroup hierarchy is mounted at /sys/fs/cgroup")
