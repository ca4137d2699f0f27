"""Figures of the whole machine that a container's are compared with."""

from __future__ import annotations

import os

from pysup.supervisor.runtime.cgroups import files

_TIMES = 7
"""user nice system idle iowait irq softirq: what docker adds up (moby daemon/stats_unix.go)."""


def cpu_ns() -> int:
    """What all CPUs have run for since boot, idle time included (proc_stat(5))."""
    ticks = sum(int(field) for field in files.read("/proc/stat").split(maxsplit=_TIMES + 1)[1 : _TIMES + 1])
    return ticks * (10**9 // os.sysconf("SC_CLK_TCK"))


def cpus_online() -> int:
    """How many CPUs are running."""
    return os.sysconf("SC_NPROCESSORS_ONLN")


def memory() -> int:
    """Bytes of memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def limited(limit: int) -> int:
    """A memory limit as docker shows it: the machine's memory where there is none, or a larger one."""
    return min(limit, memory()) if limit > 0 else memory()
