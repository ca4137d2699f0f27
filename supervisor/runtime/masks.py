"""Paths of /proc and /sys that a container must not read, or not write (moby oci/defaults.go)."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from pysup.supervisor.spec.container import Security
from pysup.supervisor.spec.security import EVERY_PATH

MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/dynamic_debug",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
"""They tell about the host, its hardware or its keys, or measure it finely enough for a side channel.

``dynamic_debug`` is not in docker's list: without any capability, root turns on messages of the host's kernel there.
"""

READ_ONLY = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
"""Settings of the whole machine."""


def _default_masks(cpus: int) -> tuple[str, ...]:
    """Each CPU has a count of its thermal throttling, which tells what runs elsewhere."""
    throttling = tuple(f"/sys/devices/system/cpu/cpu{cpu}/thermal_throttle" for cpu in range(cpus))
    return MASKED + throttling


@lru_cache(maxsize=256)
def masked(security: Security, cpus: int) -> tuple[str, ...]:
    """What is hidden from a container: what it lists itself, else docker's paths less the unmasked ones."""
    chosen = _chosen(security, security.masked, _default_masks(cpus))
    return tuple(dict.fromkeys((*chosen, *security.also_masked)))


@lru_cache(maxsize=256)
def read_only(security: Security) -> tuple[str, ...]:
    """What a container can only read."""
    return _chosen(security, security.read_only, READ_ONLY)


def _chosen(security: Security, listed: tuple[str, ...] | None, defaults: tuple[str, ...]) -> tuple[str, ...]:
    if listed is not None:
        return listed
    if security.privileged:
        return ()
    return tuple(path for path in defaults if not _is_unmasked(path, security.unmasked))


def _is_unmasked(path: str, patterns: Iterable[str]) -> bool:
    """``/proc/*`` stands for what is right in /proc."""
    return any(
        pattern == EVERY_PATH or (fnmatchcase(path, pattern) and path.count("/") == pattern.count("/"))
        for pattern in patterns
    )
