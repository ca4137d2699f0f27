"""Figures of cgroup version 2 (Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from collections.abc import Iterator

from pysup.supervisor.runtime.cgroups import files, machine
from pysup.supervisor.runtime.cgroups.base import BlockCount, Usage

_MICROSECOND = 1000
_BYTES = {"rbytes": "Read", "wbytes": "Write", "dbytes": "Discard"}
_OPERATIONS = {"rios": "Read", "wios": "Write", "dios": "Discard"}


def usage(directory: str) -> Usage:
    """Read them all; about 10 small files."""
    cpu = files.table(f"{directory}/cpu.stat")
    block = files.text(f"{directory}/io.stat")
    return Usage(
        cpu_ns=cpu.get("usage_usec", 0) * _MICROSECOND,
        cpu_user_ns=cpu.get("user_usec", 0) * _MICROSECOND,
        cpu_system_ns=cpu.get("system_usec", 0) * _MICROSECOND,
        cpus_online=machine.cpus_online(),
        machine_cpu_ns=machine.cpu_ns(),
        throttle_periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_usec", 0) * _MICROSECOND,
        memory=files.number(f"{directory}/memory.current"),
        memory_limit=machine.limited(files.number(f"{directory}/memory.max")),
        memory_peak=files.number(f"{directory}/memory.peak"),
        memory_failures=files.table(f"{directory}/memory.events").get("max", 0),
        memory_stat=files.table(f"{directory}/memory.stat"),
        pids=files.number(f"{directory}/pids.current"),
        pids_limit=files.number(f"{directory}/pids.max"),
        block_bytes=tuple(_counts(block, _BYTES)),
        block_operations=tuple(_counts(block, _OPERATIONS)),
    )


def _counts(text: str, keys: dict[str, str]) -> Iterator[BlockCount]:
    """Lines like ``8:0 rbytes=4096 wbytes=0 rios=1 …``."""
    for fields in (line.split() for line in text.splitlines()):
        major, _, minor = fields[0].partition(":")
        given = dict(field.split("=", 1) for field in fields[1:] if "=" in field)
        for key, op in keys.items():
            if minor and given.get(key, "").isdigit():
                yield BlockCount(int(major), int(minor), op, int(given[key]))
