"""Limits of cgroup version 1 (Documentation/admin-guide/cgroup-v1)."""

from __future__ import annotations

import os
from collections.abc import Callable

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.runtime.cgroups import blockio, files
from pysup.supervisor.runtime.cgroups.convert import UNLIMITED, memory_writes
from pysup.supervisor.spec.resources import Resources

_SUM = "memory.memsw.limit_in_bytes"
_WEIGHTS = ("blkio.bfq.weight", "blkio.weight")
"""The scheduler decides on the name: BFQ since Linux 5.0, CFQ before."""

Where = Callable[[str], str]
"""The container's directory in the hierarchy of a controller."""


def apply(wanted: Resources, where: Where) -> None:
    """Put limits in force; None leaves one as it is. Raises Unavailable, BadRequest, Conflict."""
    _memory(wanted, where)
    for what, controller, file, value in _plain(wanted):
        if value is not None:
            files.limit(what, f"{where(controller)}/{file}", str(value))
    _block(wanted, where)


def _plain(wanted: Resources) -> tuple[tuple[str, str, str, int | str | None], ...]:
    """Limits that are one number or word in one file. The period goes before the quota that counts by it."""
    return (
        ("memory softly", "memory", "memory.soft_limit_in_bytes", wanted.memory_reservation),
        ("swappiness", "memory", "memory.swappiness", wanted.memory_swappiness),
        ("the OOM killer", "memory", "memory.oom_control", 1 if wanted.oom_kill_disable else None),
        ("CPU shares", "cpu", "cpu.shares", wanted.cpu_shares),
        ("the CPU period", "cpu", "cpu.cfs_period_us", wanted.cpu_period),
        ("the CPU quota", "cpu", "cpu.cfs_quota_us", wanted.cpu_quota),
        ("the CPUs", "cpuset", "cpuset.cpus", wanted.cpuset_cpus),
        ("the memory nodes", "cpuset", "cpuset.mems", wanted.cpuset_mems),
        ("the number of processes", "pids", "pids.max", _or_max(wanted.pids)),
    )


def _or_max(limit: int | None) -> int | str | None:
    return "max" if limit is not None and limit <= 0 else limit


def _memory(wanted: Resources, where: Where) -> None:
    if wanted.memory is None and wanted.memory_swap is None:
        return
    directory = where("memory")
    swap = _swap(wanted, directory)
    now = files.number(f"{directory}/{_SUM}") if swap is not None else 0
    for file, value in memory_writes(wanted.memory, swap, now):
        files.limit("memory and swap" if file == _SUM else "memory", f"{directory}/{file}", str(value))


def _swap(wanted: Resources, directory: str) -> int | None:
    """The sum to write. Without swap accounting (swapaccount=0) docker's default is left out, as it does."""
    if wanted.memory_swap is None or os.path.exists(f"{directory}/{_SUM}"):
        return wanted.memory_swap
    if wanted.memory_swap == UNLIMITED or wanted.memory_swap == 2 * (wanted.memory or 0):
        return None
    raise Unavailable(f"cannot limit swap: no {_SUM} (the kernel does not account for swap)")


def _block(wanted: Resources, where: Where) -> None:
    if wanted.blkio_weight is not None:
        files.limit("block I/O by weight", _weight_file(where("blkio")), str(wanted.blkio_weight))
    for file, _key, device, rate in blockio.throttles(wanted):
        files.limit("block I/O", f"{where('blkio')}/{file}", f"{device} {rate}")


def _weight_file(directory: str) -> str:
    for name in _WEIGHTS:
        if os.path.exists(f"{directory}/{name}"):
            return f"{directory}/{name}"
    raise Unavailable(f"cannot limit block I/O by weight: no {' or '.join(_WEIGHTS)} (the kernel lacks BFQ)")
