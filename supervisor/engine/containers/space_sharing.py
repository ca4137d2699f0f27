"""--pid container:X and --ipc container:X: what of X a run joins, by descriptors of its first process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from pysup.store import containers
from pysup.store.containers import Container as Row
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Conflict
from pysup.supervisor.runtime import plan
from pysup.supervisor.spec.container import Namespaces

_SHARING = ("shareable", "host")


class Joined(NamedTuple):
    """Descriptors, good for as long as the block lasts."""

    pid: int | None
    """A pidfd of the process whose pid namespace is joined."""
    ipc: dict[str, int]
    """The ipc namespace, and the mount namespace that has its /dev/shm; empty if none is joined."""


@contextmanager
def joined_spaces(parts: Parts, record: Record) -> Iterator[Joined]:
    """In the block: what the container shares with others. Raises Conflict."""
    spaces = record.spec.namespaces
    with ExitStack() as stack:
        pid = None
        if spaces.pid == "container":
            pid = _opened(stack, parts, record, spaces.pid_of, "pid")
        ipc = {}
        if spaces.ipc == "container":
            _refuse_private(parts, record, spaces)
            for name, kind in (("ipc", "ipc"), (plan.DONOR, "mnt")):
                ipc[name] = _opened(stack, parts, record, spaces.ipc_of, kind)
        yield Joined(pid, ipc)


def _opened(stack: ExitStack, parts: Parts, record: Record, container_id: str, kind: str) -> int:
    """Of a process that still runs once its descriptor is there: so it is not one that has got its number since."""
    row = _running(parts, record, container_id, kind)
    try:
        if kind == "pid":
            fd = os.pidfd_open(row.pid)
        else:
            fd = os.open(f"/proc/{row.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _refusal(record, row.name, kind, error.strerror or str(error)) from error
    stack.callback(os.close, fd)
    if _running(parts, record, container_id, kind).pid != row.pid:
        raise _refusal(record, row.name, kind, "it was started anew meanwhile")
    return fd


def _running(parts: Parts, record: Record, container_id: str, kind: str) -> Row:
    row = containers.get(parts.store.read(), container_id)
    if row is None or row.state not in ("running", "paused") or not row.pid:
        raise _refusal(record, container_id[:12] if row is None else row.name, kind, "it is not running")
    return row


def _refuse_private(parts: Parts, record: Record, spaces: Namespaces) -> None:
    """As docker: whose memory is shared has to say so."""
    row = _running(parts, record, spaces.ipc_of, "ipc")
    if json.loads(row.host_config)["IpcMode"] not in _SHARING:
        raise _refusal(record, row.name, "ipc", "its IPC is not shareable (run it with --ipc shareable)")


def _refusal(record: Record, name: str, kind: str, cause: str) -> Conflict:
    told = {"pid": "the processes", "ipc": "the IPC", "mnt": "the IPC"}[kind]
    return Conflict(
        f"cannot start container {record.row.name}: cannot join {told} of container {name}: {cause}"
    )
