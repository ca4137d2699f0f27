"""What the cgroup of a container limits: a frozen value, as all of a spec; limits.py makes it of the documents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceRate:
    """A throttle of one block device: bytes or operations a second."""

    path: str
    rate: int


@dataclass(frozen=True, slots=True)
class Resources:
    """cgroup limits; None means not limited. Names are docker's, units bytes, microseconds and counts."""

    memory: int | None = None
    memory_swap: int | None = None
    """Memory plus swap; -1 means unlimited swap."""
    memory_reservation: int | None = None
    memory_swappiness: int | None = None
    """0 to 100: how much rather it is swapped out than its files are dropped from memory."""
    oom_kill_disable: bool = False
    cpu_shares: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    pids: int | None = None
    blkio_weight: int | None = None
    read_bps: tuple[DeviceRate, ...] = ()
    write_bps: tuple[DeviceRate, ...] = ()
    read_iops: tuple[DeviceRate, ...] = ()
    write_iops: tuple[DeviceRate, ...] = ()
