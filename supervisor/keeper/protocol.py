"""The closed set of messages between the engine and the keeper, and their coding.

The two hold the ends of one SOCK_SEQPACKET socketpair: one packet is one message, a JSON array
``[type, field, …]`` of at most MAX_MESSAGE bytes, with the descriptors it names attached (SCM_RIGHTS, at most
MAX_FDS). What may be long (a plan with its argv and environment) travels in a memfd, never in the packet.

An *entry* of the keeper is a key with a process (perhaps) and named descriptors. Keys:
``run/<container>/<n>`` for the n-th run of a container, ``exec/<exec id>``, ``ns/<container>`` for
namespaces that outlive a run.

Engine to keeper: Spawn, Order, Reap, Hold, Release, List, Ready, Upgrade, Shutdown.
Keeper to engine: Spawned, SpawnFailed, Exited, Held, Listed, Stop.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_MESSAGE = 64 << 10
MAX_FDS = 64
PLAN = "plan"
"""The name of the descriptor of the plan: a memory file with the steps as JSON."""
CGROUP = "cgroup directory"
"""The name of the descriptor of the cgroup that a child is born in (version 2)."""
MAX_KEY = 200
"""The longest key, and the longest name of a descriptor, in characters."""


class ProtocolError(Exception):
    """A packet that is too long, not JSON, of unknown type or of the wrong shape."""


class Spawn(NamedTuple):
    """Clone a child that runs a plan. Answered by Spawned or SpawnFailed, later by Exited.

    Attached: one descriptor for each name in ``fds``, then one for each in ``hold``. ``fds`` are for the
    child: ``init`` (its end of the init socket), ``stdin`` ``stdout`` ``stderr`` (absent with a tty), what the clone
    needs, and PLAN with what its steps name; without PLAN, the child waits for a packet with all that on the init
    socket, which begins with the names as JSON. ``hold`` stay in the keeper's entry.
    """

    key: str
    flags: int
    """clone3 flags, CLONE_NEW*; the keeper adds CLONE_PIDFD, and CLONE_INTO_CGROUP if CGROUP is in fds.
    """
    fds: list[str]
    hold: list[str]
    uid_map: str = ""
    """Text for /proc/PID/uid_map, written before the child goes on; empty: none."""
    gid_map: str = ""
    join_pid: bool = False
    """The child enters the pid namespace of the process whose pidfd is attached as ``target``."""
    stage: str = ""
    """The key of an Order whose steps come before the plan's; a child that has done them already is taken."""
    join_user: bool = False
    """The child is born in the user namespace that is attached as ``user``."""


class Order(NamedTuple):
    """Keep ``ahead`` children ready that have done some steps (stock.py). Attached: a memfd with those, as JSON."""

    key: str
    flags: int
    """clone3 flags, as in Spawn."""
    ahead: int


class Reap(NamedTuple):
    """The engine has committed the end: reap the zombie, close the entry's descriptors, forget it."""

    key: str


class Hold(NamedTuple):
    """Keep the attached descriptors under these names, in a new or an existing entry."""

    key: str
    names: list[str]


class Release(NamedTuple):
    """Close the named descriptors of an entry; an entry with nothing left is forgotten."""

    key: str
    names: list[str]


class List(NamedTuple):
    """Tell every entry: answered by one Held each, then Listed."""


class Ready(NamedTuple):
    """The engine serves its socket: the keeper tells its starter (sd_notify READY=1)."""


class Upgrade(NamedTuple):
    """Execute the keeper's program anew with every descriptor kept, then start a new engine."""


class Shutdown(NamedTuple):
    """The engine has stopped what it had to: leave, with this exit code, and start no engine again."""

    code: int


class Spawned(NamedTuple):
    """The child is there (attached: its pidfd) and is working through its plan."""

    key: str
    pid: int


class SpawnFailed(NamedTuple):
    """No child was made. ``detail``: why, where the errno does not tell enough."""

    key: str
    step: str
    errno: int
    detail: str


class Exited(NamedTuple):
    """The process ended and is kept as a zombie until Reap. ``status`` is as from waitpid(2)."""

    key: str
    status: int


class Held(NamedTuple):
    """One entry: attached are the pidfd (if pid is not 0), then one descriptor a name."""

    key: str
    pid: int
    status: int | None
    names: list[str]


class Listed(NamedTuple):
    """The end of the answers to List."""


class Stop(NamedTuple):
    """The keeper was told to end (SIGTERM, SIGINT): stop the containers as their policy says, then
    Shutdown.
    """

    signal: int


Message = (
    Spawn | Order | Reap | Hold | Release | List | Ready | Upgrade | Shutdown
    | Spawned | SpawnFailed | Exited | Held | Listed | Stop
)  # fmt: skip

TYPES: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Spawn, Order, Reap, Hold, Release, List, Ready, Upgrade, Shutdown,
        Spawned, SpawnFailed, Exited, Held, Listed, Stop,
    )
}  # fmt: skip
