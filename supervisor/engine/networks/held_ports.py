"""Listening sockets of published ports, held by the keeper: while an engine is replaced, who connects waits.

Only what is carried from socket to socket needs it (relays.py): rules lead the rest on, whoever lives. Each is an entry
of the keeper's of its own, since a message brings few descriptors; its key tells all of the port.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress

from pysup.supervisor.engine.networks.ports import Taken
from pysup.supervisor.keeper.client.link import Link

PREFIX = "ports/"
_SOCKET = "socket"


def container_of(key: str) -> str:
    """The id of the container that an entry belongs to."""
    return key.split("/")[1]


class HeldPorts:
    """One container's."""

    def __init__(self, link: Link, container_id: str) -> None:
        self._link = link
        self._own = f"{PREFIX}{container_id}/"

    def sockets(self) -> dict[Taken, socket.socket]:
        """Duplicates of those that are held, the caller's."""
        return {
            _taken(key): socket.socket(fileno=os.dup(self._link.held(key)[_SOCKET]))
            for key in self._link.held_below(self._own)
        }

    async def hold(self, taken: Taken, sock: socket.socket) -> None:
        """Have a duplicate held, unless that is so. Raises OSError: there are no descriptors left."""
        key = self._key(taken)
        if not self._link.held(key):
            await self._link.hold(key, {_SOCKET: os.dup(sock.fileno())})

    async def release(self, ports: Iterable[Taken]) -> None:
        """Let these go; nothing happens for those that are not held."""
        there = set(self._link.held_below(self._own))
        for key in there.intersection(map(self._key, ports)):
            await let_go(self._link, key)

    async def release_all(self) -> None:
        """Let all of them go."""
        for key in self._link.held_below(self._own):
            await let_go(self._link, key)

    def _key(self, taken: Taken) -> str:
        return f"{self._own}{taken.protocol} {taken.host_ip} {taken.host_port} {taken.port}"


def _taken(key: str) -> Taken:
    protocol, host_ip, host_port, port = key.rpartition("/")[2].split()
    return Taken(protocol, host_ip, int(host_port), int(port))


async def let_go(link: Link, key: str) -> None:
    """Nobody listens there from now on, though the keeper closes its duplicate a little later."""
    with suppress(OSError), socket.socket(fileno=os.dup(link.held(key)[_SOCKET])) as sock:
        sock.shutdown(socket.SHUT_RDWR)
    await link.release(key, [_SOCKET])
