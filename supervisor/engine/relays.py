"""Which published ports are carried on ::1, where no rule leads them (network/relay.py)."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import trio

from pysup.supervisor.network.relay import LOOPBACK, Way, relay
from pysup.supervisor.network.rules import ANY, Published

_KINDS = ("tcp", "udp")


class Relays:
    """One for each daemon."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._running: dict[Published, trio.CancelScope] = {}

    def begin(self, port: Published, sock: socket.socket | None) -> None:
        """Carry a port, if it is published on ::1, and its socket was not lost."""
        if port.protocol in _KINDS and port.host_ip in (ANY[6], LOOPBACK) and sock is not None:
            self.end([port])
            scope = self._running[port] = trio.CancelScope()
            self._nursery.start_soon(_within, scope, sock.dup(), Way((port.address, port.port)))

    def end(self, ports: Iterable[Published]) -> None:
        """Carry them no more; nothing happens for those that are not."""
        for port in ports:
            scope = self._running.pop(port, None)
            if scope is not None:
                scope.cancel()


async def _within(scope: trio.CancelScope, sock: socket.socket, way: Way) -> None:
    with scope, sock:
        await relay(sock, way)
