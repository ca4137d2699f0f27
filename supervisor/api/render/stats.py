"""A container's usage as docker's stats stream shows it (moby api/types/container StatsResponse)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pysup.supervisor.runtime.cgroups.base import BlockCount, Usage
from pysup.supervisor.runtime.traffic import Traffic
from pysup.supervisor.spec.timestamps import NEVER, rfc3339

Json = dict[str, Any]

_NO_CPU: Json = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A usage and when it was read."""

    usage: Usage
    time_ns: int
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    """By interface; none without a network of its own."""


def stats(container_id: str, name: str, sample: Sample | None, before: Sample | None = None) -> Json:
    """One object of the stream: now, and the sample before it, from which clients work out percentages.

    ``sample`` is None for a container that does not run: docker sends an object without figures then.
    """
    return {
        "name": f"/{name}",
        "id": container_id,
        "read": NEVER if sample is None else rfc3339(sample.time_ns),
        "preread": NEVER if before is None else rfc3339(before.time_ns),
        "pids_stats": _pids(sample),
        "blkio_stats": _block(sample),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(sample),
        "precpu_stats": _cpu(before),
        "memory_stats": {} if sample is None else _memory(sample.usage),
        **({"networks": _networks(sample)} if sample is not None and sample.traffic else {}),
    }


def _networks(sample: Sample) -> Json:
    return {name: one._asdict() for name, one in sample.traffic.items()}


def _pids(sample: Sample | None) -> Json:
    if sample is None:
        return {}
    limit = sample.usage.pids_limit
    return {"current": sample.usage.pids, **({"limit": limit} if limit else {})}


def _cpu(sample: Sample | None) -> Json:
    if sample is None:
        return _NO_CPU
    usage = sample.usage
    each = {"percpu_usage": list(usage.cpu_each_ns)} if usage.cpu_each_ns else {}
    return {
        "cpu_usage": {
            "total_usage": usage.cpu_ns,
            **each,
            "usage_in_kernelmode": usage.cpu_system_ns,
            "usage_in_usermode": usage.cpu_user_ns,
        },
        "system_cpu_usage": usage.machine_cpu_ns,
        "online_cpus": usage.cpus_online,
        "throttling_data": {
            "periods": usage.throttle_periods,
            "throttled_periods": usage.throttled_periods,
            "throttled_time": usage.throttled_ns,
        },
    }


def _memory(usage: Usage) -> Json:
    figures: Json = {"usage": usage.memory, "stats": usage.memory_stat, "limit": usage.memory_limit}
    if usage.memory_peak:
        figures["max_usage"] = usage.memory_peak
    if usage.memory_failures:
        figures["failcnt"] = usage.memory_failures
    return figures


def _block(sample: Sample | None) -> Json:
    usage = sample.usage if sample is not None else Usage()
    return {
        "io_service_bytes_recursive": [_count(one) for one in usage.block_bytes] or None,
        "io_serviced_recursive": [_count(one) for one in usage.block_operations] or None,
        "io_queue_recursive": None,
        "io_service_time_recursive": None,
        "io_wait_time_recursive": None,
        "io_merged_recursive": None,
        "io_time_recursive": None,
        "sectors_recursive": None,
    }


def _count(one: BlockCount) -> Json:
    return {"major": one.major, "minor": one.minor, "op": one.op, "value": one.value}
