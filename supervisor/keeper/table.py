"""What the keeper keeps: entries of a process and named descriptors, and the document that hands them over.

The document (JSON in a memory file) is read by a new program of the keeper: the same process after an
upgrade, or the engine that takes the place of a keeper that was killed. Only numbers travel in it; the
descriptors themselves stay open across execve(2).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import NamedTuple

from pysup.supervisor.settings import Settings

MAX_DOCUMENT = 64 << 20


class Entry:
    """A key with a process (or pid 0) and descriptors by name. ``status``: as from waitpid(2), None while
    it runs.
    """

    __slots__ = ("fds", "key", "pid", "pidfd", "status")

    def __init__(self, key: str, pid: int = 0, pidfd: int = -1) -> None:
        self.key = key
        self.pid = pid
        self.pidfd = pidfd
        self.status: int | None = None
        self.fds: dict[str, int] = {}

    @property
    def empty(self) -> bool:
        """Nothing is left to keep."""
        return not self.pid and not self.fds

    def descriptors(self) -> list[int]:
        """The pidfd, if there is a process, then the named descriptors in their order."""
        return ([self.pidfd] if self.pid else []) + list(self.fds.values())

    def hold(self, named: dict[str, int]) -> None:
        """Keep descriptors; one that is replaced is closed."""
        for name, fd in named.items():
            self.release(name)
            self.fds[name] = fd

    def release(self, name: str) -> None:
        """Close a named descriptor, if it is there."""
        fd = self.fds.pop(name, None)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Close everything."""
        for fd in self.descriptors():
            os.close(fd)
        self.fds = {}
        self.pid, self.pidfd = 0, -1


class Table:
    """All entries by key."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self.entries.values()))

    def get(self, key: str) -> Entry | None:
        """The entry of a key."""
        return self.entries.get(key)

    def entry(self, key: str) -> Entry:
        """The entry of a key, made if it is new."""
        return self.entries.setdefault(key, Entry(key))

    def pids(self) -> frozenset[int]:
        """The processes that must not be reaped in passing."""
        return frozenset(entry.pid for entry in self.entries.values() if entry.pid)

    def forget(self, key: str) -> None:
        """Close an entry's descriptors and drop it."""
        entry = self.entries.pop(key, None)
        if entry is not None:
            entry.close()


class Handover(NamedTuple):
    """Everything that the next program of the keeper needs; descriptors by number."""

    settings: Settings
    engine_argv: list[str]
    listen_fd: int
    lock_fd: int
    table: Table
    stop_signal: int = 0
    """A stop that was asked for and is not done yet; 0: none."""

    def descriptors(self) -> list[int]:
        """All that must stay open across execve."""
        return [self.listen_fd, self.lock_fd, *(fd for entry in self.table for fd in entry.descriptors())]


def to_json(handover: Handover) -> bytes:
    """Encode the document."""
    entries = [
        {"key": entry.key, "pid": entry.pid, "pidfd": entry.pidfd, "status": entry.status, "fds": entry.fds}
        for entry in handover.table
    ]
    document = {
        "settings": handover.settings._asdict(),
        "engine": handover.engine_argv,
        "listen": handover.listen_fd,
        "lock": handover.lock_fd,
        "stop": handover.stop_signal,
        "entries": entries,
    }
    return json.dumps(document).encode()


def from_json(text: bytes) -> Handover:
    """Decode what to_json() made."""
    document = json.loads(text)
    table = Table()
    for item in document["entries"]:
        entry = table.entry(item["key"])
        entry.pid, entry.pidfd, entry.status = item["pid"], item["pidfd"], item["status"]
        entry.fds = dict(item["fds"])
    return Handover(
        settings=Settings.from_document(document["settings"]),
        engine_argv=document["engine"],
        listen_fd=document["listen"],
        lock_fd=document["lock"],
        table=table,
        stop_signal=document["stop"],
    )
