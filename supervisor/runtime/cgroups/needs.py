"""What limits need of a machine, told before anything is made."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from pysup.supervisor.errors import BadRequest, Unavailable
from pysup.supervisor.runtime.cgroups.convert import cpu_list
from pysup.supervisor.spec.resources import Resources

VERSION_2_NAMES = {"blkio": "io", "cpuacct": "cpu"}


@lru_cache(maxsize=64)
def needs(wanted: Resources) -> tuple[tuple[str, str], ...]:
    """What is limited, and the version 1 name of the controller for it."""
    blkio = (wanted.blkio_weight, *wanted.read_bps, *wanted.write_bps, *wanted.read_iops, *wanted.write_iops)
    asked = {
        ("memory", "memory"): (wanted.memory, wanted.memory_swap, wanted.memory_reservation),
        ("swappiness", "memory"): (wanted.memory_swappiness,),
        ("the OOM killer", "memory"): (wanted.oom_kill_disable or None,),
        ("CPU time", "cpu"): (wanted.cpu_shares, wanted.cpu_quota, wanted.cpu_period),
        ("the set of CPUs", "cpuset"): (wanted.cpuset_cpus, wanted.cpuset_mems),
        ("the number of processes", "pids"): (wanted.pids,),
        ("block I/O", "blkio"): blkio,
    }
    return tuple(pair for pair, values in asked.items() if any(value is not None for value in values))


def check_controllers(wanted: Resources, controllers: Collection[str], version: int) -> None:
    """Raise Unavailable for the first limit that has no controller."""
    for what, controller in needs(wanted):
        name = VERSION_2_NAMES.get(controller, controller) if version == 2 else controller  # noqa: PLR2004
        if name not in controllers:
            raise Unavailable(
                f"cannot limit {what}: this machine has no {name} controller (cgroup v{version})"
            )


def check_sets(wanted: Resources, cpus: str, mems: str) -> None:
    """Raise BadRequest if CPUs or memory nodes are asked for that are not there (docker says so too)."""
    for what, asked, there in (
        ("CPUs", wanted.cpuset_cpus, cpus),
        ("memory nodes", wanted.cpuset_mems, mems),
    ):
        if asked and there and not cpu_list(asked) <= cpu_list(there):
            raise BadRequest(f"cannot limit the {what} to {asked}: there are {there}")


def check_path(parent: str, *names: str) -> str:
    """The path of a cgroup relative to the mount. Raises BadRequest if it could lead out of it."""
    parts = [part for part in "/".join((parent, *names)).split("/") if part]
    if ".." in parts or "." in parts or not parent.strip("/"):
        raise BadRequest(f"cannot use the cgroup {parent!r}: it must be a path below the hierarchy's root")
    return "/".join(parts)


def cannot_create(error: OSError, name: str) -> Unavailable:
    """The error for a file system that refuses: read-only, not ours, too many cgroups."""
    return Unavailable(f"cannot create cgroup {error.filename or name}: {error.strerror}")
