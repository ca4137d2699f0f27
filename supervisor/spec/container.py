"""What a container is to be: frozen values, complete, with every default decided.

The store keeps the docker-shaped documents (``config`` and ``host_config`` as JSON); ``spec/from_docker.py``
turns them into these values, which the engine and the runtime read. Nothing here does I/O or reads a clock.
Sizes are bytes, times are seconds (float) unless the name says otherwise, ids are host integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pysup.supervisor.spec.health import HealthCheck
from pysup.supervisor.spec.id_maps import IdMap
from pysup.supervisor.spec.resources import Resources

NamespaceMode = Literal["private", "host"]
JoinableMode = Literal["private", "host", "container"]
"""``container``: another container's."""
IpcMode = Literal["private", "shareable", "none", "host", "container"]
"""``shareable``: its own, and others may join it; ``none``: its own, without /dev/shm."""
NetworkMode = Literal["none", "bridge", "host", "container"]


@dataclass(frozen=True, slots=True)
class Rlimit:
    """One resource limit (getrlimit(2)); -1 means unlimited."""

    name: str
    """The resource without RLIMIT_, in lower case: ``nofile``, ``nproc``, …"""
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Volume:
    """Which volume a mount shows, and what it is to be if it is not there yet."""

    name: str
    anonymous: bool = False
    """Nobody has named it: its name was made up, for this container or another one."""
    copy: bool = True
    """An empty volume begins with what the image has in its place."""
    subpath: str = ""
    """Only this file or directory of it is shown; relative, looked up inside the volume."""
    driver: str = "local"
    options: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount inside the container, in the order given."""

    kind: Literal["bind", "tmpfs", "volume"]
    target: str
    """Absolute path inside the container; resolved inside its root, created if missing."""
    source: str = ""
    """Absolute host path of a bind."""
    read_only: bool = False
    read_only_below: bool = True
    """Read-only holds for the mounts below the source, too."""
    propagation: str = "rprivate"
    """One of private, rprivate, shared, rshared, slave, rslave."""
    recursive: bool = True
    """A bind takes the mounts below its source along."""
    idmap: bool = False
    """bind only: its files belong to the container's ids, and not to the host's (idmapped mount)."""
    create_source: bool = False
    """Make a missing bind source as a directory (docker's -v does, --mount does not)."""
    options: tuple[str, ...] = ()
    """tmpfs only: mount options as in mount(8), e.g. ``size=64m``, ``mode=1777``, ``noexec``."""
    volume: Volume | None = None
    """volume only."""
    mode: str = ""
    """The options as they were typed behind ``-v``, for inspect."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that the container gets as a file; its value is nowhere in a spec."""

    name: str
    target: str
    """Absolute path inside the container; the file itself is below /run/secrets."""
    uid: int = 0
    gid: int = 0
    mode: int = 0o444


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Which namespaces are the container's own (namespaces(7)). The mount namespace always is."""

    pid: JoinableMode = "private"
    pid_of: str = ""
    """The id of the container whose processes it shares (--pid container:X)."""
    ipc: IpcMode = "private"
    ipc_of: str = ""
    uts: JoinableMode = "private"
    uts_of: str = ""
    net: NetworkMode = "none"
    """``none``: its own with nothing but loopback; ``bridge``: its own, on networks; ``container``: another's."""
    cgroup: JoinableMode = "private"
    cgroup_of: str = ""
    user: NamespaceMode = "host"
    user_of: str = ""
    """The id of the container whose user namespace it shares; ``user`` and the maps are that one's, too."""
    user_auto: bool = False
    """Its ids are a range that no container has that does not share its user namespace (--userns auto)."""
    uid_maps: tuple[IdMap, ...] = ()
    gid_maps: tuple[IdMap, ...] = ()

    @property
    def lends_memory(self) -> bool:
        """Whether another container may have its IPC, and so its /dev/shm. As docker: who shares it has to say so."""
        return self.ipc in ("shareable", "host")


@dataclass(frozen=True, slots=True)
class Binding:
    """A port of the container that is to be published."""

    protocol: str
    """``tcp``, ``udp`` or ``sctp``."""
    port: int
    """The container's."""
    host_ip: str = ""
    """An address of the host; empty: the daemon's default."""
    first: int = 0
    last: int = 0
    """One port of this range of the host's is taken; 0: any."""

    def may_be(self, protocol: str, host_port: int) -> bool:
        """Whether it asks for this port of the host, maybe among others."""
        return protocol == self.protocol and self.first <= host_port <= self.last


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What is asked of networks beside which they are: those are rows of the store (store/endpoints.py)."""

    container: str = ""
    """Whose network namespace it shares (--network container:X)."""
    bindings: tuple[Binding, ...] = ()
    exposed: tuple[tuple[int, str], ...] = ()
    """(port, protocol)."""
    publish_all: bool = False
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    """(name, address); the address may be ``host-gateway``."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a run that ended is followed by another one; decided by engine/containers/policy.py."""

    name: Literal["no", "always", "on-failure", "unless-stopped"] = "no"
    max_retries: int = 0
    """on-failure only: give up after this many retries in a row; 0 means never."""
    delay: float = 0.1
    """The first delay; it doubles with each retry."""
    max_delay: float = 60.0
    reset_after: float = 10.0
    """A run of at least this long puts the delay back to the first."""
    limit_count: int = 0
    """With limit_window: more restarts than this within the window is a crash loop; 0 means no limit."""
    limit_window: float = 0.0


@dataclass(frozen=True, slots=True)
class Process:
    """What is executed, and as whom. The same value describes an exec."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    """``NAME=value``; HOME is added from the container's own passwd where it is missing."""
    cwd: str = "/"
    user: str = ""
    """``name|uid[:group|gid]``, looked up in the container's own /etc/passwd and /etc/group; empty: root."""
    groups: tuple[str, ...] = ()
    """Supplementary groups (--group-add), names or numbers."""
    tty: bool = False
    console_size: tuple[int, int] = (0, 0)
    """Rows and columns that the terminal begins with; 0: not known yet."""
    open_stdin: bool = False
    stdin_once: bool = False
    umask: int = 0o022
    rlimits: tuple[Rlimit, ...] = ()
    oom_score_adj: int = 0
    capabilities: tuple[str, ...] = ()
    """Names with CAP_; the bounding set, and for root the permitted and effective sets too."""
    no_new_privileges: bool = False


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A device of the host, or a directory of devices, that the container gets too."""

    source: str
    target: str
    access: str = "rwm"
    """What the device cgroup allows: read, write, mknod(2)."""


@dataclass(frozen=True, slots=True)
class Security:
    """What confines the container beside namespaces and capabilities."""

    privileged: bool = False
    """All devices of the host, nothing masked, /sys and cgroups writable."""
    seccomp: str = ""
    """A profile as JSON; empty: docker's own; ``unconfined``: no filter."""
    apparmor: str = ""
    """The name of a profile that the kernel has loaded; empty: unconfined."""
    masked: tuple[str, ...] | None = None
    """Paths that cannot be looked into; None: docker's."""
    read_only: tuple[str, ...] | None = None
    """Paths that cannot be written; None: docker's."""
    also_masked: tuple[str, ...] = ()
    unmasked: tuple[str, ...] = ()
    """Paths, with wildcards, that are neither masked nor read-only; ``ALL``: every one of docker's."""
    devices: tuple[HostDevice, ...] = ()
    device_rules: tuple[str, ...] = ()
    """More lines for the device cgroup, in the form of devices.allow."""


@dataclass(frozen=True, slots=True)
class Rootfs:
    """The read-only lower layers, topmost first, as host directories; ``/`` is the host image."""

    lower: tuple[str, ...]
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Rotation of the container's log; None means the daemon's default."""

    max_size: int | None = None
    max_files: int | None = None
    kept: bool = True
    """Not with --log-driver none: then it is there for who is attached, and goes with the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Everything that a start needs to know."""

    hostname: str
    domainname: str = ""
    process: Process
    rootfs: Rootfs
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[Secret, ...] = ()
    shm_size: int = 64 << 20
    sysctls: tuple[tuple[str, str], ...] = ()
    namespaces: Namespaces = field(default_factory=Namespaces)
    network: NetworkSpec = field(default_factory=NetworkSpec)
    security: Security = field(default_factory=Security)
    resources: Resources = field(default_factory=Resources)
    cgroup_parent: str = ""
    """Relative to the hierarchy's mount; empty means the daemon's cgroup root."""
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    log: LogLimits = field(default_factory=LogLimits)
    health: HealthCheck | None = None
    stop_signal: int = 15
    stop_timeout: float = 10.0
    """Seconds between the stop signal and SIGKILL; negative means wait forever."""
    init: bool = False
    auto_remove: bool = False
    run_timeout: float = 0.0
    """The longest that one run may take (--timeout); 0 means no bound."""
