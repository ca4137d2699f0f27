"""Who has a port of the host: the socket in /proc/net (proc(5)), and the process that holds it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

_FILES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6"), "sctp": ()}
_PORT, _INODE = 1, 9
"""Fields of a line: the local address, the socket's number."""
_GONE = ("06", "01")
"""TIME_WAIT, that has no process any more, and ESTABLISHED, which is one client's (include/net/tcp_states.h)."""


class Holder(NamedTuple):
    """A process that has a port."""

    name: str
    pid: int
    address: str
    """That its socket is bound to."""

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def holder_of(protocol: str, port: int) -> str:
    """``nginx (pid 42)``; empty if that cannot be found out. Looks through /proc: in a thread, if it matters."""
    return str(next(iter(holders_of(protocol, port)), ""))


def holders_of(protocol: str, port: int) -> list[Holder]:
    """All of them, by their pids."""
    addresses = dict(_inodes(protocol, port))
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc") if addresses else ()):
        found += [
            Holder(_name(pid), int(pid), address)
            for address in sorted({addresses[inode] for inode in _sockets(pid) if inode in addresses})
        ]
    return sorted(found, key=lambda one: one.pid)


def _inodes(protocol: str, port: int) -> Iterator[tuple[str, str]]:
    for name in _FILES[protocol]:
        with contextlib.suppress(OSError), open(f"/proc/self/net/{name}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                address, _, number = fields[_PORT].rpartition(":")
                if int(number, 16) == port and (protocol == "udp" or fields[3] not in _GONE):
                    yield fields[_INODE], _address(address)


def _address(digits: str) -> str:
    """Words of 32 bits, each written as a number of the machine's byte order (proc_pid_net(5))."""
    words = [int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8)]
    return str(ip_address(b"".join(words)))


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
