"""Why a port of the host cannot be published: who has it, or who may not have it. An error says what can be done."""

from __future__ import annotations

import errno
from functools import partial
from sqlite3 import Connection

import trio

from pysup.store import containers, endpoints
from pysup.store.store import Store
from pysup.supervisor.engine.networks.ports import Refused
from pysup.supervisor.errors import Conflict, Forbidden, PysupError, Unavailable
from pysup.supervisor.kernel import netns
from pysup.supervisor.runtime.listeners import holder_of

_FIRST_FREE = "net.ipv4.ip_unprivileged_port_start"
_CAPABILITY = "CAP_NET_BIND_SERVICE"
_UNKNOWN = {
    "tcp": "some process has bound it, and does not listen",
    "udp": "the kernel itself has it",
    "sctp": "a container that is about to start has it, or some process",
}
"""What is said of a holder that cannot be found."""


async def refusal(store: Store, container: str, refused: Refused) -> PysupError:
    """The error for the container's name: Conflict (the port is taken), Forbidden (a low one), Unavailable."""
    told = f"cannot publish {refused.where} for container {container}: "
    if refused.errno == errno.EADDRINUSE:
        return Conflict(f"{told}port is already allocated: {await _holder(store, container, refused)}")
    if refused.errno == errno.EACCES:
        return Forbidden(
            told + forbidden(refused.binding.first, _first_free(), rootless=not netns.is_governed())
        )
    if refused.errno == errno.EADDRNOTAVAIL:
        return Unavailable(f"{told}{refused.strerror}: the host has no address {refused.binding.host_ip}")
    return Unavailable(f"{told}{refused.strerror}")


async def _holder(store: Store, container: str, refused: Refused) -> str:
    if refused.twice:
        return f"container {container} has it"
    protocol, number = refused.binding.protocol, refused.binding.last
    found = await store.query(partial(_container_with, protocol=protocol, host_port=number))
    holder = found or await trio.to_thread.run_sync(holder_of, protocol, number)
    if holder:
        return f"{holder} has it"
    return _UNKNOWN[protocol]


def _container_with(conn: Connection, protocol: str, host_port: int) -> str:
    for port in endpoints.using_port(conn, protocol, host_port):
        row = containers.get(conn, port.container_id)
        if row is not None:
            return f"container {row.name}"
    return ""


def _first_free() -> int:
    with open(f"/proc/sys/{_FIRST_FREE.replace('.', '/')}", encoding="ascii") as file:
        return int(file.read())


def forbidden(port: int, first_free: int, *, rootless: bool) -> str:
    """What keeps the daemon from having a port, and what would let it (ip(7), ip-sysctl.rst)."""
    if port >= first_free:
        return "Permission denied: a security module of the kernel refuses it"
    lacking = (
        f"without root, ports below {first_free} cannot be had"
        if rootless
        else f"the daemon has no {_CAPABILITY}, without which ports below {first_free} cannot be had"
    )
    let = "let root run" if rootless else "give it that capability, or run"
    return (
        f"{lacking} ({_FIRST_FREE}); publish one from {first_free} on, or {let}: sysctl {_FIRST_FREE}={port}"
    )
