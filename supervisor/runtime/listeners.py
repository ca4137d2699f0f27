"""Who has a port of the host: the socket in /proc/net (proc(5)), and the process that holds it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_FILES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6"), "sctp": ()}
_PORT, _INODE = 1, 9
"""Fields of a line: the local address, the socket's number."""
_ENDED = "06"
"""TIME_WAIT of include/net/tcp_states.h: it has no process any more."""


def holder_of(protocol: str, port: int) -> str:
    """``nginx (pid 42)``; empty if that cannot be found out. Looks through /proc: in a thread, if it matters."""
    inodes = set(_inodes(protocol, port))
    if not inodes:
        return ""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if not inodes.isdisjoint(_sockets(pid)):
            return f"{_name(pid)} (pid {pid})"
    return ""


def _inodes(protocol: str, port: int) -> Iterator[str]:
    for name in _FILES[protocol]:
        with contextlib.suppress(OSError), open(f"/proc/self/net/{name}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if int(fields[_PORT].rpartition(":")[2], 16) == port and fields[3] != _ENDED:
                    yield fields[_INODE]


def _sockets(pid: str) -> Iterator[str]:
    """The numbers of a process's sockets: its descriptors are links to ``socket:[NUMBER]``."""
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
                if target.startswith("socket:["):
                    yield target[8:-1]


def _name(pid: str) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return "a process"
