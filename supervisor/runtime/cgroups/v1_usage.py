"""Figures of cgroup version 1 (Documentation/admin-guide/cgroup-v1: cpuacct, memory, pids, blkio-controller)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pysup.supervisor.runtime.cgroups import files, machine
from pysup.supervisor.runtime.cgroups.base import BlockCount, Usage

_BLOCK_FIELDS = 3

Where = Callable[[str], str]


def usage(where: Where) -> Usage:
    """Read them all; about 20 small files."""
    cpu, memory, pids = where("cpuacct"), where("memory"), where("pids")
    throttling = files.table(f"{where('cpu')}/cpu.stat")
    return Usage(
        cpu_ns=files.number(f"{cpu}/cpuacct.usage"),
        cpu_user_ns=files.number(f"{cpu}/cpuacct.usage_user"),
        cpu_system_ns=files.number(f"{cpu}/cpuacct.usage_sys"),
        cpu_each_ns=tuple(int(each) for each in files.text(f"{cpu}/cpuacct.usage_percpu").split()),
        cpus_online=machine.cpus_online(),
        machine_cpu_ns=machine.cpu_ns(),
        throttle_periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_ns=throttling.get("throttled_time", 0),
        memory=files.number(f"{memory}/memory.usage_in_bytes"),
        memory_limit=machine.limited(files.number(f"{memory}/memory.limit_in_bytes")),
        memory_peak=files.number(f"{memory}/memory.max_usage_in_bytes"),
        memory_failures=files.number(f"{memory}/memory.failcnt"),
        memory_stat=files.table(f"{memory}/memory.stat"),
        pids=files.number(f"{pids}/pids.current"),
        pids_limit=files.number(f"{pids}/pids.max"),
        block_bytes=_block(where("blkio"), "io_service_bytes_recursive"),
        block_operations=_block(where("blkio"), "io_serviced_recursive"),
    )


def _block(directory: str, name: str) -> tuple[BlockCount, ...]:
    """BFQ counts what it schedules; the throttle counts for every other scheduler (runc fs/blkio.go)."""
    for policy in ("bfq.", "throttle."):
        counts = tuple(_counts(files.text(f"{directory}/blkio.{policy}{name}")))
        if counts:
            return counts
    return ()


def _counts(text: str) -> Iterator[BlockCount]:
    """Lines like ``8:0 Read 4096``; a last one gives a total without a device."""
    for fields in (line.split() for line in text.splitlines()):
        if len(fields) == _BLOCK_FIELDS:
            major, _, minor = fields[0].partition(":")
            yield BlockCount(int(major), int(minor), fields[1], int(fields[2]))
