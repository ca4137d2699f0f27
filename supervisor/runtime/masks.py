"""Paths of /proc and /sys that a container must not read, or not write (moby oci/defaults.go), as data."""

from __future__ import annotations

MASKED = (
    "/proc/asound",
    "/proc/acpi",
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
"""They tell about the host, its hardware or its keys, or measure it finely enough for a side channel."""

READ_ONLY = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
"""Settings of the whole machine."""


def masked(cpus: int) -> tuple[str, ...]:
    """All of them; each CPU has a count of its thermal throttling, which tells what runs elsewhere."""
    throttling = tuple(f"/sys/devices/system/cpu/cpu{cpu}/thermal_throttle" for cpu in range(cpus))
    return MASKED + throttling
