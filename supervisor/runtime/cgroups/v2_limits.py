"""Limits of cgroup version 2 (Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import os

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.runtime.cgroups import blockio, files
from pysup.supervisor.runtime.cgroups.convert import UNLIMITED, io_weight, swap_alone, weight_of_shares
from pysup.supervisor.spec.resources import Resources


def apply(wanted: Resources, directory: str) -> None:
    """Put limits in force; None leaves one as it is. Raises Unavailable, BadRequest, Conflict."""
    for what, file, value in _plain(wanted):
        if value is not None:
            files.limit(what, f"{directory}/{file}", value)
    _swap(wanted, directory)
    _cpu_max(wanted, directory)
    _block(wanted, directory)


def _plain(wanted: Resources) -> tuple[tuple[str, str, str | None], ...]:
    """Limits that are one word in one file."""
    return (
        ("memory", "memory.max", _or_max(wanted.memory)),
        ("memory softly", "memory.low", _or_none(wanted.memory_reservation)),
        ("CPU shares", "cpu.weight", _weight(wanted.cpu_shares)),
        ("the CPUs", "cpuset.cpus", wanted.cpuset_cpus),
        ("the memory nodes", "cpuset.mems", wanted.cpuset_mems),
        ("the number of processes", "pids.max", _or_max(wanted.pids)),
    )


def _or_max(limit: int | None) -> str | None:
    return "max" if limit is not None and limit <= 0 else _or_none(limit)


def _or_none(limit: int | None) -> str | None:
    return None if limit is None else str(limit)


def _weight(shares: int | None) -> str | None:
    return None if shares is None else str(weight_of_shares(shares))


def _swap(wanted: Resources, directory: str) -> None:
    """Without swap accounting (swapaccount=0) docker's default is left out, as it does."""
    if wanted.memory_swap is None:
        return
    path, memory = f"{directory}/memory.swap.max", wanted.memory or files.number(f"{directory}/memory.max")
    if os.path.exists(path):
        files.limit("swap", path, swap_alone(wanted.memory_swap, memory))
    elif wanted.memory_swap not in (UNLIMITED, 2 * memory):
        raise Unavailable("cannot limit swap: no memory.swap.max (the kernel does not account for swap)")


def _cpu_max(wanted: Resources, directory: str) -> None:
    """``quota period`` in microseconds; a quota alone keeps the period, a period alone needs the quota again."""
    if wanted.cpu_quota is None and wanted.cpu_period is None:
        return
    path = f"{directory}/cpu.max"
    quota = _or_max(wanted.cpu_quota) or (files.text(path).split() or ["max"])[0]
    files.limit("the CPU quota", path, f"{quota} {wanted.cpu_period or ''}".strip())


def _block(wanted: Resources, directory: str) -> None:
    if wanted.blkio_weight is not None:
        files.limit("block I/O by weight", *_io_weight(directory, wanted.blkio_weight))
    for _file, key, device, rate in blockio.throttles(wanted):
        files.limit("block I/O", f"{directory}/io.max", f"{device} {key}={rate}")


def _io_weight(directory: str, weight: int) -> tuple[str, str]:
    """BFQ has a file of its own that takes blkio's scale; the general one has another (runc fs2/io.go)."""
    bfq = f"{directory}/io.bfq.weight"
    if os.path.exists(bfq):
        return bfq, str(weight)
    general = f"{directory}/io.weight"
    if os.path.exists(general):
        return general, str(io_weight(weight))
    raise Unavailable(
        "cannot limit block I/O by weight: no io.bfq.weight or io.weight (the kernel lacks them)"
    )
