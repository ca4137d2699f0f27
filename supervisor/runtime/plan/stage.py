"""What of a set-up is the same for most containers, and needs nothing of theirs: it can be done ahead.

/proc, /dev and /sys, with what hides parts of them, are made on a stage: a directory that is covered in this mount
namespace only. Once the container's root is there, they are moved into it. So a child that waits for its container
(keeper/stock.py) has most mounts behind it; one that is made for its container does the same steps first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from pysup.supervisor.runtime.plan import mounts, namespaces
from pysup.supervisor.runtime.plan.facts import CgroupView, Facts, Machine, Step
from pysup.supervisor.spec.container import ContainerSpec, Namespaces, Process, Rootfs, Security

_TOPS = ("/proc", "/dev", "/sys")
_UNIFIED = (CgroupView("", "cgroup2", "", ""),)
"""Stands for whichever cgroup of version 2."""


class Stage(NamedTuple):
    """Steps to be done before everything else, in namespaces of their own."""

    key: str
    """The same for stages that are the same."""
    flags: int
    """The namespaces, CLONE_NEW*."""
    steps: tuple[Step, ...]
    tops: tuple[str, ...]
    """What is made on the stage, to be moved to the same path of the container."""


def usual(facts: Facts) -> Iterable[Stage]:
    """The stages of containers that ask for nothing special: of a first run, and of one with a network already."""
    bare = ContainerSpec(hostname="", process=Process(()), rootfs=Rootfs(()))
    for held in ((), namespaces.outliving(bare.namespaces)):
        yield _stage(bare.namespaces, bare.security, bare.shm_size, facts, held)


def stage_of(spec: ContainerSpec, facts: Facts) -> Stage | None:
    """A container's stage; None where what it asks for must be done before, or between."""
    spaces = spec.namespaces
    own = spaces.user == "host" and spaces.pid == spaces.ipc == "private"
    kept = all(_apart(mount.target) and "slave" not in mount.propagation for mount in spec.mounts)
    if not (own and kept) or spec.sysctls or facts.devices:
        return None
    return _stage(spaces, spec.security, spec.shm_size, facts, facts.held)


def _stage(
    spaces: Namespaces, security: Security, shm_size: int, facts: Facts, held: tuple[str, ...]
) -> Stage:
    views = _UNIFIED if facts.is_unified else ()
    return _made(spaces, security, shm_size, facts.machine, facts.stage, held, views)


def _apart(target: str) -> bool:
    return not any(mounts.within(target, top) for top in _TOPS)


@lru_cache(maxsize=64)
def _made(  # noqa: PLR0917
    spaces: Namespaces,
    security: Security,
    shm_size: int,
    machine: Machine,
    place: str,
    held: tuple[str, ...],
    views: tuple[CgroupView, ...],
) -> Stage:
    """A network that is joined comes later, and /sys with it: a mount of it shows the network's devices."""
    spec = ContainerSpec(
        hostname="",
        process=Process(()),
        rootfs=Rootfs(()),
        namespaces=spaces,
        security=security,
        shm_size=shm_size,
    )
    facts = Facts(machine=machine, directory="", stage=place, held=held, cgroup_views=views)
    tops = tuple(top for top in _TOPS if top != "/sys" or not facts.held)
    steps = [
        ["propagation", "private"],
        ["stage", facts.stage],
        *(step for one in mounts.fresh(spec, facts) for step in mounts.steps_on_stage(one, tops)),
        *mounts.device_steps(spec, facts),
        *namespaces.network_steps(spec.namespaces, facts),
        *(step for step in mounts.mask_steps(spec, facts) if mounts.on_stage(step[1], tops)),
    ]
    flags = namespaces.clone_flags(spec, facts.held)
    key = hashlib.sha256(json.dumps([flags, steps]).encode()).hexdigest()[:16]
    return Stage(key, flags, tuple(steps), tops)
