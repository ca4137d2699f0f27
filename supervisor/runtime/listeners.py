"""Who has a port of the host: the socket in /proc/net (proc(5)) or sock_diag(7), and the process that holds it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from pysup.supervisor.runtime import bound_sockets

_FILES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6"), "sctp": ()}
_PORT, _STATE, _INODE = 1, 3, 9
"""Fields of a line: the local address, the state, the socket's number (0: it has no process any more)."""
_LISTEN = "0A"
"""Of TCP (include/net/tcp_states.h); all other states that are listed are of connections."""


class Holder(NamedTuple):
    """A process that has a port."""

    name: str
    pid: int
    address: str
    """That its socket is bound to."""

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def holder_of(protocol: str, port: int) -> str:
    """``nginx (pid 42)``; empty if that cannot be found out. Looks through /proc: in a thread, if it matters.

    A connection keeps others from binding its port, too, but who listens there says more.
    """
    found = holders_of(protocol, port) or _holders(dict(_listed(protocol, port, connections=True)))
    return str(next(iter(found), ""))


def holders_of(protocol: str, port: int) -> list[Holder]:
    """All that listen on it or are bound to it, by their pids."""
    addresses = dict(_listed(protocol, port, connections=False))
    if protocol == "tcp":
        addresses |= {one.inode: one.address for one in bound_sockets.bound(port)}
    return _holders(addresses)


def processes_with(inode: str) -> list[Holder]:
    """All that have the socket of this number, by their pids; of those that can be seen."""
    return _holders({inode: ""})


def only_connections(port: int) -> bool:
    """Whether TCP connections have a port, and nobody who listens there or is bound to it."""
    held = [*_listed("tcp", port, connections=False), *bound_sockets.bound(port)]
    return not held and any(True for _ in _listed("tcp", port, connections=True))


def _holders(addresses: dict[str, str]) -> list[Holder]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc") if addresses else ()):
        found += [
            Holder(_name(pid), int(pid), address)
            for address in sorted({addresses[inode] for inode in _sockets(pid) if inode in addresses})
        ]
    return sorted(found, key=lambda one: one.pid)


def _listed(protocol: str, port: int, *, connections: bool) -> Iterator[tuple[str, str]]:
    """The number of each socket in /proc/net that has the port, and its address."""
    for name in _FILES[protocol]:
        with contextlib.suppress(OSError), open(f"/proc/self/net/{name}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                address, _, number = fields[_PORT].rpartition(":")
                if int(number, 16) == port and (
                    connections or protocol == "udp" or fields[_STATE] == _LISTEN
                ):
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
