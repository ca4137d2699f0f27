"""Which published ports are carried (network/relay.py): where no rule leads them, and all without root.

No rule leads what comes to ::1, and none from IPv6 to a container that has IPv4 alone. Without root, rules lead only
what comes from other containers.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import NamedTuple

import trio

from pysup.supervisor.network.relay import LOOPBACK, Way, relay
from pysup.supervisor.network.rules import ANY, Published

_KINDS = ("tcp", "udp")


def is_carried(port: Published, namespace: int | None) -> bool:
    """Whether no rule leads a port, or not all of it.

    ``namespace``: where the containers are, if that is not where the port is (home.py); all is carried then.
    """
    all_led = namespace is None and port.is_led and port.host_ip not in (ANY[6], LOOPBACK)
    return port.protocol in _KINDS and not all_led


class Relays:
    """One for each daemon."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._running: dict[Published, _Relay] = {}

    def begin(self, port: Published, sock: socket.socket, namespace: int | None) -> None:
        """Carry a port that is_carried(), from its socket. Raises OSError, and carries nothing then: no descriptors."""
        own = sock.dup()
        inside = None if namespace is None else os.dup(namespace)
        way = Way((port.address, port.port), inside, for_all=inside is not None or not port.is_led)
        begun = self._running[port] = _Relay(trio.CancelScope(), trio.Event())
        self._nursery.start_soon(_within, begun, own, way)

    async def end(self, ports: Iterable[Published]) -> None:
        """Carry them no more; nothing happens for those that are not. The sockets are let go of afterwards."""
        ended = [running for port in ports if (running := self._running.pop(port, None)) is not None]
        for one in ended:
            one.scope.cancel()
        for one in ended:
            await one.done.wait()


class _Relay(NamedTuple):
    scope: trio.CancelScope
    done: trio.Event


async def _within(begun: _Relay, sock: socket.socket, way: Way) -> None:
    try:
        with begun.scope, sock:
            await relay(sock, way)
    finally:
        begun.done.set()
        if way.namespace is not None:
            os.close(way.namespace)
