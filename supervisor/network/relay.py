"""Published ports that no rule can lead, carried from socket to socket: on the host's own ::1, and all without root.

IPv6 routes no packet from or to ::1 over another interface than lo (RFC 4291, 2.5.3), and has no route_localnet as
IPv4 has. So the socket that holds the port listens after all, for those who come from ::1; rules lead all others.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar, cast

import trio

from pysup.supervisor.network.inside import run_inside
from pysup.supervisor.network.splicing import pump

log = logging.getLogger(__name__)

LOOPBACK = "::1"
_MOST = 512
"""Connections, or clients over UDP, at once; what comes beyond that waits, or is dropped."""
_CHUNK = 1 << 16
_IDLE = 60.0
"""Seconds after which a client over UDP that says nothing, and is told nothing, is forgotten."""
_IP_PKTINFO = 8
"""ip(7); Python has no name for it."""
_TOLD = socket.CMSG_SPACE(20)
"""The larger of the two kinds of pktinfo."""

Target = tuple[str, int]
Ancillary = tuple[int, int, bytes]
"""Level, type and data, cmsg(3)."""
T = TypeVar("T")


class Way(NamedTuple):
    """Where to, and for whom."""

    target: Target
    namespace: int | None = None
    """A descriptor of the network namespace from which the container is reached; None: from here."""
    for_all: bool = False
    """No rule leads anybody. Else rules lead all but those who come from ::1."""

    def admits(self, client: object) -> bool:
        """Whether a client's address may come this way."""
        return self.for_all or client == LOOPBACK

    async def open(self, kind: socket.SocketKind) -> trio.socket.SocketType:
        """A socket that is connected to the container. Raises OSError."""
        family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        plain = await run_inside(self.namespace, partial(socket.socket, family, kind))
        made = trio.socket.from_stdlib_socket(plain)
        try:
            await made.connect(self.target)
        except BaseException:
            made.close()
            raise
        return made


async def relay(sock: socket.socket, way: Way) -> None:
    """Carry what comes to a bound socket to the container, until it is cancelled.

    The socket stays the caller's; it is a listening one from now on, if it is of TCP.
    """
    own = sock.dup()
    try:
        if own.type == socket.SOCK_STREAM:
            own.listen()
            await _relay_tcp(trio.SocketListener(trio.socket.from_stdlib_socket(own)), way)
        else:
            await _Datagrams(trio.socket.from_stdlib_socket(own), way).relay()
    except OSError as error:
        log.error("cannot carry a port to %s port %d: %s", *way.target, error.strerror)
    finally:
        own.close()


# -- TCP -----------------------------------------------------------------------------------------------------


async def _relay_tcp(listener: trio.SocketListener, way: Way) -> None:
    room = trio.CapacityLimiter(_MOST)

    async def carry(client: trio.SocketStream) -> None:
        async with client, room:
            with suppress(OSError):  # it has left already, or nobody listens in the container
                if way.admits(client.socket.getpeername()[0]):
                    await _carry(client, way)

    await trio.serve_listeners(carry, [listener])


async def _carry(client: trio.SocketStream, way: Way) -> None:
    """Both ways, each until its end; a connection that breaks takes the other one with it."""
    there = trio.SocketStream(await way.open(socket.SOCK_STREAM))
    async with there as server, trio.open_nursery() as nursery:
        nursery.start_soon(_carry_on, client, server, nursery.cancel_scope)
        nursery.start_soon(_carry_on, server, client, nursery.cancel_scope)


async def _carry_on(source: trio.SocketStream, sink: trio.SocketStream, both: trio.CancelScope) -> None:
    try:
        await pump(source.socket, sink.socket)
        sink.socket.shutdown(socket.SHUT_WR)
    except OSError:
        both.cancel()


# -- UDP -----------------------------------------------------------------------------------------------------


class _Client(NamedTuple):
    """Who sent a datagram, and to which address of the host: that is where the answer has to come from."""

    address: Target
    asked: tuple[Ancillary, ...]
    """That address, as sendmsg(2) takes it."""


class _Datagrams:
    """Each client has a socket of its own towards the container, so that answers find their way."""

    def __init__(self, own: trio.socket.SocketType, way: Way) -> None:
        self._own = own
        self._way = way
        self._clients: dict[_Client, trio.socket.SocketType] = {}

    async def relay(self) -> None:
        """Until it is cancelled."""
        level, option = (
            (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)
            if self._own.family == socket.AF_INET6
            else (socket.IPPROTO_IP, _IP_PKTINFO)
        )
        self._own.setsockopt(level, option, 1)
        async with trio.open_nursery() as nursery:
            while True:
                data, told, _, address = await self._own.recvmsg(_CHUNK, _TOLD)
                client = _Client(cast("Target", address), tuple(map(_answered_from, told)))
                if self._way.admits(client.address[0]):
                    await self._pass_on(data, client, nursery)

    async def _pass_on(self, data: bytes, client: _Client, nursery: trio.Nursery) -> None:
        if client not in self._clients:
            if len(self._clients) >= _MOST:
                return
            there = await _tried(self._way.open(socket.SOCK_DGRAM))
            if there is None:
                return
            self._clients[client] = there
            nursery.start_soon(self._answer, client)
        await _tried(self._clients[client].send(data))

    async def _answer(self, client: _Client) -> None:
        there = self._clients[client]
        with there:
            while True:
                with trio.move_on_after(_IDLE) as waiting:
                    data = await _tried(there.recv(_CHUNK))
                if waiting.cancelled_caught:
                    del self._clients[client]
                    return
                if data:
                    await _tried(self._own.sendmsg([data], client.asked, 0, client.address))


def _answered_from(message: Ancillary) -> Ancillary:
    """A received pktinfo without its interface: routes decide which way the answer goes.

    struct in_pktinfo of ip(7), whose second field is the host's address; struct in6_pktinfo of ipv6(7).
    """
    level, kind, told = message
    none = bytes(4)
    return level, kind, none + told[4:8] + none if kind == _IP_PKTINFO else told[:16] + none


async def _tried(call: Awaitable[T]) -> T | None:
    """A datagram may be lost: nobody listens, or the container has left."""
    with suppress(OSError):
        return await call
    return None
