"""The flags that run, create and update share, limits and restart policy, and the API fields they become."""

from __future__ import annotations

from typing import Any

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.flags import Flag, Given, UsageError, lacking, number, text

LIMITS: tuple[Flag, ...] = (
    Flag("blkio-weight", kinds.UINT16, "Block IO (relative weight), between 10 and 1000, or 0 to disable"),
    number("cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period, in microseconds"),
    number("cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds"),
    lacking("cpu-rt-period", kinds.INT, "Limit CPU real-time period", "real-time groups come later"),
    lacking("cpu-rt-runtime", kinds.INT, "Limit CPU real-time runtime", "real-time groups come later"),
    number("cpu-shares", "CPU shares (relative weight)", short="c"),
    Flag("cpus", kinds.NANO, "Number of CPUs"),
    text("cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)"),
    text("cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)"),
    Flag("memory", kinds.BYTES, "Memory limit", "m"),
    Flag("memory-reservation", kinds.BYTES, "Memory soft limit"),
    Flag("memory-swap", kinds.SWAP, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    number("pids-limit", "Tune container pids limit (set -1 for unlimited)"),
)

RESTART: tuple[Flag, ...] = (
    text("restart", "Restart policy: no, always, unless-stopped, on-failure[:max-retries]", default="no"),
    Flag("restart-delay", kinds.DURATION, "First delay before a restart; it doubles (default 100ms)"),
    Flag(
        "restart-max-delay",
        kinds.DURATION,
        "Longest delay before a restart (default 1m, or the first if longer)",
    ),
    Flag("restart-reset-after", kinds.DURATION, "A run of this length resets the delay (default 10s)"),
    text("restart-limit", "Give up after more than N restarts within DURATION: N/DURATION"),
)

FIELDS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
}
"""Flags whose value is the field of HostConfig as it is."""

_EXTRAS = {
    "restart-delay": "RestartDelay",
    "restart-max-delay": "RestartMaxDelay",
    "restart-reset-after": "RestartResetAfter",
    "timeout": "RunTimeout",
    "health-on-failure": "HealthOnFailure",
}


def copied(given: Given, fields: dict[str, str]) -> dict[str, Any]:
    """The fields of those flags that were given."""
    return {field: given[name] for name, field in fields.items() if name in given.changed}


def limits(given: Given) -> dict[str, Any]:
    """Limits and restart policy as HostConfig (create) or the whole body (update) takes them."""
    made = copied(given, FIELDS)
    if "restart" in given.changed:
        made["RestartPolicy"] = restart_policy(given.text("restart"))
    extras = copied(given, _EXTRAS)
    if "restart-limit" in given.changed:
        extras["RestartLimit"] = restart_limit(given.text("restart-limit"))
    if extras:
        made["Pysup"] = extras
    return made


def restart_policy(policy: str) -> dict[str, Any]:
    """``on-failure:3`` as the API takes it (docker/cli opts/parse.go); the daemon knows the names."""
    name, colon, count = policy.partition(":")
    if not name and policy:
        raise UsageError(
            "cannot parse the arguments: invalid restart policy format: no policy provided before colon"
        )
    digits = count.removeprefix("-")  # the daemon refuses what is negative
    if colon and not (digits.isascii() and digits.isdigit()):
        raise UsageError(
            "cannot parse the arguments: invalid restart policy format: maximum retry count must be an integer"
        )
    return {"Name": name or "no", "MaximumRetryCount": int(count) if colon else 0}


def restart_limit(limit: str) -> dict[str, Any]:
    """``5/1m`` as the API takes it; ``0`` takes a limit away."""
    count, slash, window = limit.partition("/")
    if not (count.isascii() and count.isdigit()) or bool(slash) != (int(count) > 0):
        raise UsageError(
            f"cannot parse the arguments: invalid restart limit {limit!r} (it is N/DURATION: 5/1m)"
        )
    try:
        seconds = kinds.read_duration(window) if slash else 0.0
    except ValueError as error:
        raise UsageError(f"cannot parse the arguments: invalid restart limit {limit!r}: {error}") from None
    return {"Count": int(count), "Window": seconds}
