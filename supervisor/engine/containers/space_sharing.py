"""What of another container a run joins (--pid, --ipc, --uts, --cgroupns, --userns container:X): descriptors of X's
first process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from pysup.store import containers
from pysup.store.containers import Container as Row
from pysup.supervisor.engine.containers.joined_modes import SHARED
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces, run_key
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.specs import spec_of
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Conflict
from pysup.supervisor.kernel import nsfs
from pysup.supervisor.kernel.files import duplicate
from pysup.supervisor.runtime import plan
from pysup.supervisor.spec.container import Namespaces
from pysup.supervisor.spec.id_maps import IdMap

_MEMORY = ("/dev", "/dev/shm")  # noqa: S108 - paths in a container
_MODES = {
    "pid": "PidMode",
    "ipc": "IpcMode",
    "uts": "UTSMode",
    "cgroup": "CgroupnsMode",
    "user": "UsernsMode",
}


class Joined(NamedTuple):
    """Descriptors, good for as long as the block lasts."""

    pid: int | None
    """A pidfd of the process whose pid namespace is joined."""
    spaces: dict[str, int]
    """Namespaces to enter; with that of IPC goes the mount namespace that has its /dev/shm (DONOR)."""
    memory: dict[str, int]
    """That /dev/shm (LENT)."""
    processes: dict[str, int]
    """The pid namespace itself."""
    donor_root: int
    """The host's uid of the root of the container whose IPC is shared."""


@contextmanager
def joined_spaces(parts: Parts, record: Record) -> Iterator[Joined]:
    """In the block: what the container shares with others. Raises Conflict."""
    wanted = record.spec.namespaces
    with ExitStack() as stack:
        pid, processes, spaces, memory, donor_root = None, {}, {}, {}, 0
        if wanted.pid == "container":
            pid = _opened(stack, parts, record, wanted.pid_of, "pid", "")
            processes["pid"] = _opened(stack, parts, record, wanted.pid_of, "pid", "pid")
        if wanted.ipc == "container":
            donor_root = _donor_root(parts, record, wanted.ipc_of)
            for name, file in (("ipc", "ipc"), (plan.DONOR, "mnt")):
                spaces[name] = _opened(stack, parts, record, wanted.ipc_of, "ipc", file)
            memory[plan.LENT] = stack.enter_context(duplicate(_lent(parts, record, wanted.ipc_of)))
        for name, mode, other in (
            ("uts", wanted.uts, wanted.uts_of),
            ("cgroup", wanted.cgroup, wanted.cgroup_of),
        ):
            if mode == "container":
                spaces[name] = _opened(stack, parts, record, other, name, name)
        yield Joined(pid, spaces, memory, processes, donor_root)


@contextmanager
def joined_user(parts: Parts, record: Record) -> Iterator[int]:
    """In the block: the user namespace of the other container, held or of its process. Raises Conflict."""
    other = record.spec.namespaces.user_of
    held = HeldNamespaces(parts.link, other).fds
    with ExitStack() as stack:
        if "user" in held:
            yield stack.enter_context(duplicate(held["user"]))
        else:
            yield _opened(stack, parts, record, other, "user", "user")


def foreign(user: int | None, found: Mapping[str, int]) -> frozenset[str]:
    """Which of these namespaces belong to another user namespace than ``user`` (None: the daemon's own).

    Root of the daemon's has power over them all; only what it would make in the memory of one is of no ids there.
    """
    if user is None:
        found = {name: fd for name, fd in found.items() if name == plan.DONOR}
    if not found:
        return frozenset()
    own = _own_identity() if user is None else nsfs.identity(user)
    return frozenset(name for name, fd in found.items() if nsfs.owner(fd) != own)


def _own_identity() -> tuple[int, int]:
    there = os.stat("/proc/self/ns/user")
    return there.st_dev, there.st_ino


def _opened(  # noqa: PLR0917
    stack: ExitStack, parts: Parts, record: Record, container_id: str, space: str, file: str
) -> int:
    """Of a process that still runs once its descriptor is there: so it is not one that has got its number since.

    ``file``: of /proc/PID/ns; empty: a pidfd.
    """
    row = _running(parts, record, container_id, space)
    try:
        fd = _namespace(row.pid, file) if file else os.pidfd_open(row.pid)
    except OSError as error:
        raise _refusal(record, row.name, space, error.strerror or str(error)) from error
    stack.callback(os.close, fd)
    if _running(parts, record, container_id, space).pid != row.pid:
        raise _refusal(record, row.name, space, "it was started anew meanwhile")
    return fd


def _namespace(pid: int, file: str) -> int:
    return os.open(f"/proc/{pid}/ns/{file}", os.O_RDONLY | os.O_CLOEXEC)


def _running(parts: Parts, record: Record, container_id: str, space: str) -> Row:
    row = containers.get(parts.store.read(), container_id)
    if row is None or row.state == "removed":
        raise _refusal(record, container_id[:12] if row is None else row.name, space, "it was removed")
    if row.state not in ("running", "paused") or not row.pid:
        raise _refusal(record, row.name, space, "it is not running")
    return row


def _donor_root(parts: Parts, record: Record, container_id: str) -> int:
    """As docker: whose memory is shared has to say so. Where something is mounted in its place it is no memory of its
    own, and those who have other ids cannot be given theirs in it.
    """
    row = _running(parts, record, container_id, "ipc")
    theirs = spec_of(parts.images, row)
    if not theirs.namespaces.lends_memory:
        raise _refusal(record, row.name, "ipc", "its IPC is not shareable (run it with --ipc shareable)")
    same = _ids(theirs.namespaces) == _ids(record.spec.namespaces)
    if not same and any(mount.target in _MEMORY for mount in theirs.mounts):
        raise _refusal(record, row.name, "ipc", "its /dev/shm is a mount of its own, and its ids are others")
    return plan.root_ids(theirs.namespaces)[0]


def _ids(namespaces: Namespaces) -> tuple[tuple[IdMap, ...], tuple[IdMap, ...]]:
    return plan.uid_maps(namespaces), plan.gid_maps(namespaces)


def _lent(parts: Parts, record: Record, container_id: str) -> int:
    """The /dev/shm of the other's run, as it was when that began."""
    row = _running(parts, record, container_id, "ipc")
    held = parts.link.held(run_key(row.id, row.run_number))
    if plan.LENT not in held:
        cause = "nothing is kept of its /dev/shm, as an earlier pysup has started it, or died meanwhile: restart it"
        raise _refusal(record, row.name, "ipc", cause)
    return held[plan.LENT]


def _refusal(record: Record, name: str, space: str, cause: str) -> Conflict:
    what = SHARED[_MODES[space]]
    return Conflict(
        f"cannot start container {record.row.name}: cannot join {what} of container {name}: {cause}"
    )
