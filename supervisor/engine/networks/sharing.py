"""--network container:X: the network namespace of X, and the files that tell of its names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pysup.store import containers
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Conflict
from pysup.supervisor.runtime import rootfs


@contextmanager
def shared_network(parts: Parts, record: Record) -> Iterator[dict[str, int]]:
    """In the block: the network namespace of the container whose network is shared, if one is. Raises Conflict."""
    if record.spec.namespaces.net != "container":
        yield {}
        return
    namespace = _namespace_of(parts, record, record.spec.network.container)
    try:
        _share_names(parts, record)
        yield {"net": namespace}
    finally:
        os.close(namespace)


def _namespace_of(parts: Parts, record: Record, shared: str) -> int:
    row = containers.get(parts.store.read(), shared)
    name = shared if row is None else row.name
    told = f"cannot start container {record.row.name}: cannot join the network of container {name}"
    held = HeldNamespaces(parts.link, shared).fds
    if row is not None and "net" in held:
        return os.dup(held["net"])
    if row is None or row.state not in ("running", "paused") or not row.pid:
        raise Conflict(f"{told}: it is not running")
    try:
        return network_of(row.pid)
    except OSError as error:
        raise Conflict(f"{told}: {error.strerror}") from error


def network_of(pid: int) -> int:
    """A descriptor of the network namespace of a process, the caller's. Raises OSError."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _share_names(parts: Parts, record: Record) -> None:
    """Who shares a network shares the names of its hosts."""
    theirs = parts.settings.container_dir(record.spec.network.container)
    found = {}
    for name in ("hosts", "resolv.conf"):
        with open(f"{theirs}/etc/{name}", encoding="utf-8", errors="surrogateescape") as file:
            found[name] = file.read()
    rootfs.write_names(parts.settings.container_dir(record.id), record.spec, found)
