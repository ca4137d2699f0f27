"""HostConfig's limits into Resources, with docker's checks. Pure.

Whether this machine has the controllers is asked later, by runtime/cgroups. Source: moby
daemon/daemon_unix.go verifyPlatformContainerResources.
"""

from __future__ import annotations

import re

from pysup.supervisor.spec.container import Rlimit
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.resources import DeviceRate, Resources

MINIMUM_MEMORY = 6 << 20
"""Docker's: less than this and the set-up of a container does not fit."""
_PERIOD = 100_000
"""cpu.cfs_period_us that --cpus is made of, docker's and the kernel's default."""
_SMALLEST_QUOTA = 1000
_NANO = 10**9
_CPUSET = re.compile(r"\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*", re.ASCII)
_BLKIO_WEIGHT = range(10, 1001)
_MOST_SWAPPINESS = 100
_PERIODS = range(1000, 1_000_001)

_RESOURCES = (
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
)
RLIMITS = frozenset(_RESOURCES.split())
"""The names that --ulimit takes: RLIMIT_* of getrlimit(2)."""


def resources(host: Fields, *, cpus: int = 0) -> Resources:
    """Every limit, checked. ``cpus``: how many this machine has; 0 if that is not known here."""
    memory, swap, reservation = _memory(host)
    quota, period = _cpu_time(host, cpus)
    return Resources(
        memory=memory or None,
        memory_swap=swap or None,
        memory_reservation=reservation or None,
        memory_swappiness=swappiness(host, "MemorySwappiness"),
        oom_kill_disable=host.flag("OomKillDisable"),
        cpu_shares=_not_negative(host, "CpuShares", "--cpu-shares") or None,
        cpu_quota=quota or None,
        cpu_period=period or None,
        cpuset_cpus=_cpuset(host, "CpusetCpus") or None,
        cpuset_mems=_cpuset(host, "CpusetMems") or None,
        pids=_pids(host),
        blkio_weight=_blkio_weight(host) or None,
        read_bps=_rates(host, "BlkioDeviceReadBps"),
        write_bps=_rates(host, "BlkioDeviceWriteBps"),
        read_iops=_rates(host, "BlkioDeviceReadIOps"),
        write_iops=_rates(host, "BlkioDeviceWriteIOps"),
    )


def swappiness(host: Fields, key: str) -> int | None:
    """0 is a value of its own; -1 is docker's way to say none."""
    number = -1 if host.raw(key) is None else host.integer(key)
    if not -1 <= number <= _MOST_SWAPPINESS:
        raise host.bad(f"--memory-swappiness cannot be {number}: it is 0 to {_MOST_SWAPPINESS}")
    return None if number < 0 else number


def _not_negative(host: Fields, key: str, flag: str) -> int:
    value = host.integer(key)
    if value < 0:
        raise host.bad(f"{flag} cannot be negative, and is {value}")
    return value


# -- memory --------------------------------------------------------------------------------------------------


def _memory(host: Fields) -> tuple[int, int, int]:
    memory = _at_least_minimum(host, "Memory", "--memory")
    reservation = _at_least_minimum(host, "MemoryReservation", "--memory-reservation")
    if memory and reservation > memory:
        raise host.bad(f"--memory-reservation {reservation} is more than --memory {memory}")
    return memory, _swap(host, memory), reservation


def _at_least_minimum(host: Fields, key: str, flag: str) -> int:
    value = _not_negative(host, key, flag)
    if 0 < value < MINIMUM_MEMORY:
        raise host.bad(f"{flag} {value} is below the minimum of {MINIMUM_MEMORY} bytes (6 MiB)")
    return value


def _swap(host: Fields, memory: int) -> int:
    """Memory plus swap; docker's default is as much swap as memory (adaptContainerSettings)."""
    swap = host.integer("MemorySwap")
    if swap < -1:
        raise host.bad(f"--memory-swap cannot be {swap} (-1: unlimited)")
    if swap > 0 and not memory:
        raise host.bad("--memory-swap needs --memory too")
    if 0 < swap < memory:
        raise host.bad(
            f"--memory-swap {swap} is less than --memory {memory} (it is the sum of memory and swap)"
        )
    return min(2 * memory, (1 << 63) - 1) if memory and not swap else swap


# -- CPU -----------------------------------------------------------------------------------------------------


def _cpu_time(host: Fields, cpus: int) -> tuple[int, int]:
    """Quota and period in microseconds; --cpus is another way to say them."""
    quota, period, nano = host.integer("CpuQuota"), host.integer("CpuPeriod"), host.integer("NanoCpus")
    if nano and (quota or period):
        raise host.bad(f"--cpus conflicts with {'--cpu-quota' if quota else '--cpu-period'}")
    if nano:
        return _quota_of(host, nano, cpus), _PERIOD
    if period and period not in _PERIODS:
        raise host.bad(f"--cpu-period {period} is not within 1000 and 1000000 microseconds")
    if quota > 0 and quota < _SMALLEST_QUOTA:
        raise host.bad(f"--cpu-quota {quota} is below the minimum of 1000 microseconds")
    return max(quota, -1), period


def _quota_of(host: Fields, nano: int, cpus: int) -> int:
    quota = nano * _PERIOD // _NANO
    if quota < _SMALLEST_QUOTA:
        raise host.bad(f"--cpus {nano / _NANO:g} is below the minimum of 0.01")
    if cpus and nano > cpus * _NANO:
        raise host.bad(f"--cpus {nano / _NANO:g} is more than the {cpus} CPUs of this machine")
    return quota


def _cpuset(host: Fields, key: str) -> str:
    """A list as in cpuset(7): ``0-3,5``."""
    text = host.text(key)
    if text and not _CPUSET.fullmatch(text):
        raise host.bad(f"--{key[:6].lower()}-{key[6:].lower()} {text[:64]!r} is not a list like 0-3,5")
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last and int(first) > int(last):
            raise host.bad(
                f"--{key[:6].lower()}-{key[6:].lower()} {text[:64]!r} has a range that runs backwards"
            )
    return text


# -- processes, block I/O, rlimits ---------------------------------------------------------------------------


def with_pids_limit(body: Json, limit: int) -> Json:
    """A create body with the daemon's limit of processes (0: none) where it has none: docker's command sends 0."""
    host = body.get("HostConfig") or {}
    if not limit or not isinstance(host, dict) or host.get("PidsLimit"):
        return body
    return {**body, "HostConfig": {**host, "PidsLimit": limit}}


def _pids(host: Fields) -> int | None:
    """0 and every negative number mean no limit, as for docker."""
    limit = host.integer("PidsLimit")
    return limit if limit > 0 else None


def _blkio_weight(host: Fields) -> int:
    weight = host.integer("BlkioWeight")
    if weight and weight not in _BLKIO_WEIGHT:
        raise host.bad(f"--blkio-weight {weight} is not within 10 and 1000")
    return weight


def _rates(host: Fields, key: str) -> tuple[DeviceRate, ...]:
    return tuple(_rate(item) for item in host.inners(key))


def _rate(item: Fields) -> DeviceRate:
    path, rate = item.text("Path"), item.integer("Rate")
    if not path.startswith("/"):
        raise item.bad(f"{item.where}.Path {path[:64]!r} is not the path of a device")
    if rate <= 0:
        raise item.bad(f"{item.where}.Rate must be positive, and is {rate}")
    return DeviceRate(path, rate)


def rlimits(host: Fields) -> tuple[Rlimit, ...]:
    """HostConfig.Ulimits, checked; the last one of a name counts."""
    limits = [_rlimit(item) for item in host.inners("Ulimits")]
    return tuple({limit.name: limit for limit in limits}.values())


def _rlimit(item: Fields) -> Rlimit:
    name, soft, hard = item.text("Name").lower(), item.integer("Soft"), item.integer("Hard")
    if name not in RLIMITS:
        raise item.bad(f"--ulimit {name[:64]!r} is not one of {', '.join(sorted(RLIMITS))}")
    if min(soft, hard) < -1:
        raise item.bad(f"--ulimit {name}={soft}:{hard} is negative (-1: unlimited)")
    if hard != -1 and (soft > hard or soft == -1):
        raise item.bad(f"--ulimit {name}={soft}:{hard} has a soft limit above the hard limit")
    return Rlimit(name, soft, hard)


def warnings(host: Fields) -> list[str]:
    """What docker warns of, too."""
    if host.flag("OomKillDisable") and not host.integer("Memory"):
        return [
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        ]
    return []
