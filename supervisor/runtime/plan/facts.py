"""What a plan is made from beside the container's spec: values that were decided, or found out, elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from pysup.supervisor.runtime.devices import HostNode
from pysup.supervisor.spec.volumes import Source

Step = list[Any]
"""``[op, argument, …]``, JSON-able; the vocabulary and its meaning are keeper/steps/__init__.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is the same for every container of this daemon (runtime/machine.py finds it out)."""

    capabilities: tuple[str, ...]
    """The daemon's own bounding set, names with CAP_: no container gets more, save in its user namespace."""
    cpus: int = 1
    """How many CPUs the machine can have: some masked paths have a number of one in them."""
    init: str = ""
    """A static init for --init (tini), as a host path; empty: there is none."""
    rootless: bool = False
    """The daemon is root in a user namespace only: what that may not do is done as for a container that has one."""
    skeleton: str = ""
    """What is the lowest layer of the host image instead of ``/``, where that cannot be one; a host path."""
    tty_group: bool = True
    """Whether the group 5 exists, which terminals usually belong to."""
    last_group: int = 0xFFFFFFFE
    """The highest group id that exists here: fewer do without root."""
    oom_score: int = -1000
    """The daemon's own oom_score_adj; without root nobody gets a lower one."""
    sysfs: bool = True
    """Whether a user namespace may mount its own /sys: not where the one that is there has covered parts."""


@dataclass(frozen=True, slots=True)
class CgroupView:
    """One cgroup file system that a container sees below /sys/fs/cgroup."""

    name: str
    """The directory there, ``memory``; empty for a version 2 hierarchy, which is /sys/fs/cgroup itself."""
    fstype: str
    """``cgroup`` or ``cgroup2``."""
    data: str
    """The mount option that selects the hierarchy: ``memory``, ``cpu,cpuacct``; empty for version 2."""
    directory: str
    """The container's cgroup in it, as a host path."""


SECCOMP = "seccomp"
"""The name of the descriptor that holds the filter program."""
DONOR = "donor"
"""The name of the mount namespace whose /dev/shm is shared (--ipc container:X)."""
LENT = "lent-shm"
"""The name of a descriptor of that /dev/shm itself, which is there since its container was set up."""
USER = "user"
"""The name of the container's user namespace."""
EVERY_ID = "every-id"
"""The name of a user namespace in which every id is itself."""
SECRETS = "secrets"
"""The name of the descriptor that holds the values of secrets: a plan has none of them."""


class Shown(NamedTuple):
    """A volume that the container has."""

    name: str
    path: str
    """The host directory with its content."""
    source: Source | None = None
    """What is mounted for it instead."""


class Below(NamedTuple):
    """A further file system of the machine."""

    point: str
    """Where it is mounted: host path, and the same path in the container."""
    flags: int
    """Its MS_NOSUID, MS_NODEV and MS_NOEXEC, which hold in the container too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is decided outside about this one start. Host paths are absolute and without links."""

    machine: Machine
    directory: str
    """The container's directory, which runtime/rootfs.py made: upper/ work/ etc/."""
    stage: str
    """An empty host directory, on which what comes before the container's root is made, and then that root."""
    cgroup_tasks: tuple[str, ...] = ()
    """The ``tasks`` files to join (cgroup v1); on v2 the process is born in its cgroup."""
    cgroup_views: tuple[CgroupView, ...] = ()
    held: tuple[str, ...] = ()
    """Namespaces to join: each name is one of /proc/PID/ns, and that of the descriptor too."""
    foreign: frozenset[str] = frozenset()
    """Those of other containers to join (``pid``, and DONOR, too) over which the container's root will have no power:
    they belong to another user namespace than its own."""
    donor_root: int = 0
    """The host's uid of the root of the container whose memory is shared."""
    below: tuple[Below, ...] = ()
    """The machine's further file systems that the host image shows, parents first."""
    hidden: tuple[str, ...] = ()
    """Host directories that the host image must not show: the daemon's own root and run directories."""
    hidden_files: tuple[str, ...] = ()
    """Host files that it must not show either: the daemon's keys."""
    seccomp: int | None = None
    """Flags for seccomp(2), with the filter in the descriptor SECCOMP; None: no filter."""
    volumes: tuple[Shown, ...] = ()
    devices: tuple[HostNode, ...] = ()
    """The host's devices that the container gets beside the usual ones."""
    idmapped: bool = False
    """The layers come with the ids of the container's user namespace: what is root's is the container's root's."""
    mapped: tuple[tuple[str, str], ...] = ()
    """Mounts that come with those ids, too: target, and the name of the descriptor of a detached tree."""
    kept: tuple[str, ...] = ()
    """Overlays that were kept of the run before; each name is that of a descriptor."""
    ground: str = ""
    """A host directory with nothing but what mounts lie on (rootfs.make_ground()); empty: there is none."""

    @property
    def is_unified(self) -> bool:
        """Whether the container sees cgroups of version 2, which is one mount at /sys/fs/cgroup itself."""
        return any(not view.name for view in self.cgroup_views)
