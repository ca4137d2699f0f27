"""One container's resolver on trio: names of containers from the store, all others from the servers of the host.

Its sockets are bound in the container's network namespace, those that ask other servers are made in the daemon's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import dns.asyncquery
import dns.exception
import dns.message
import trio

from pysup.supervisor.kernel import netns
from pysup.supervisor.network import dns as messages
from pysup.supervisor.network.dns import Malformed, Names

ADDRESS = "127.0.0.11"
PORT = 53
"""Where a container asks; the rules lead it to the sockets, so that the container may have the port itself."""
WAIT = 4.0
"""Seconds that one server has to answer."""
IDLE = 10.0
"""Seconds that a TCP client may say nothing."""
AT_ONCE = 64
"""Questions of one container that are with other servers; further ones are dropped, and asked again."""
CONNECTIONS = 16
_LARGEST = 65535
_LENGTH = struct.Struct("!H")


class Sockets(NamedTuple):
    """Bound to free ports of 127.0.0.11."""

    udp: socket.socket
    tcp: socket.socket


def bind(namespace: int) -> Sockets:
    """In a network namespace (a descriptor) with lo up. Raises OSError."""
    with netns.entered(namespace):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        udp.bind((ADDRESS, 0))
        tcp.bind((ADDRESS, 0))
        tcp.listen(CONNECTIONS)
    except OSError:
        udp.close()
        tcp.close()
        raise
    return Sockets(udp, tcp)


def sockets_of(held: Mapping[str, int]) -> Sockets:
    """Duplicates of descriptors that are held."""
    return Sockets(*(socket.socket(fileno=os.dup(held[name])) for name in Sockets._fields))


def rules(sockets: Sockets) -> str:
    """For libnftables, in the same namespace: questions to port 53 reach the sockets (conntrack turns answers back)."""
    to_udp, to_tcp = (one.getsockname()[1] for one in sockets)
    return f"""\
add table ip pysup_dns
delete table ip pysup_dns
table ip pysup_dns {{
    chain output {{
        type nat hook output priority -100; policy accept;
        ip daddr {ADDRESS} udp dport {PORT} dnat to {ADDRESS}:{to_udp}
        ip daddr {ADDRESS} tcp dport {PORT} dnat to {ADDRESS}:{to_tcp}
    }}
}}"""


class Resolver:
    """serve() until it is cancelled; it closes the sockets then."""

    def __init__(self, sockets: Sockets, known: Names, servers: Sequence[str], *, port: int = PORT) -> None:
        self._sockets = sockets
        self._known = known
        self._servers = tuple(servers)
        self._port = port
        self._asking = trio.Semaphore(AT_ONCE)
        self._connected = trio.Semaphore(CONNECTIONS)

    async def serve(self) -> None:
        """Answer all questions."""
        with contextlib.ExitStack() as stack:
            for one in self._sockets:
                stack.callback(one.close)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve_udp, nursery)
                nursery.start_soon(self._serve_tcp, nursery)

    async def _serve_udp(self, nursery: trio.Nursery) -> None:
        sock = trio.socket.from_stdlib_socket(self._sockets.udp)
        while True:
            try:
                data, client = await sock.recvfrom(_LARGEST)
            except OSError:  # what an earlier answer met (ICMP)
                continue
            answer = await self._at_once(data, limited=True)
            if answer:
                await _send(sock, answer, client)
            elif answer is None:
                with contextlib.suppress(trio.WouldBlock):
                    self._asking.acquire_nowait()
                    nursery.start_soon(self._forward_udp, sock, data, client)

    async def _at_once(self, data: bytes, *, limited: bool) -> bytes | None:
        """What can be said without asking anybody; empty: nothing is to be said; None: somebody is to be asked."""
        try:
            query = messages.read(data)
        except Malformed as wrong:
            return wrong.answer
        answer = messages.own_answer(query, self._known)
        return None if answer is None else messages.wire(answer, query, limited=limited)

    async def _forward_udp(
        self, sock: trio.socket.SocketType, data: bytes, client: tuple[object, ...]
    ) -> None:
        try:
            await _send(sock, await self._ask(messages.read(data), limited=True), client)
        finally:
            self._asking.release()

    async def _ask(self, query: dns.message.QueryMessage, *, limited: bool) -> bytes:
        """The answer of the first server that has one; by TCP where it does not fit (dns.asyncquery checks who says
        what to which question).
        """
        for server in self._servers:
            try:
                answer, _ = await dns.asyncquery.udp_with_fallback(
                    query, server, WAIT, self._port, ignore_unexpected=True
                )
            except (dns.exception.DNSException, OSError, EOFError):
                continue
            return messages.wire(answer, query, limited=limited)
        return messages.failure(query)

    # -- TCP -------------------------------------------------------------------------------------------------

    async def _serve_tcp(self, nursery: trio.Nursery) -> None:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._sockets.tcp))
        while True:
            await self._connected.acquire()
            try:
                stream = await listener.accept()
            except OSError:
                self._connected.release()
                continue
            nursery.start_soon(self._converse, stream)

    async def _converse(self, stream: trio.SocketStream) -> None:
        try:
            with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                async with stream:
                    while await self._answer_next(stream):
                        pass
        finally:
            self._connected.release()

    async def _answer_next(self, stream: trio.SocketStream) -> bool:
        """One question; False: there is no further one."""
        data = b""
        with trio.move_on_after(IDLE):
            data = await _message(stream)
        if not data:
            return False
        answer = await self._at_once(data, limited=False)
        if answer is None:
            answer = await self._ask(messages.read(data), limited=False)
        if not answer:
            return False
        with trio.move_on_after(IDLE) as scope:
            await stream.send_all(_LENGTH.pack(len(answer)) + answer)
        return not scope.cancelled_caught


async def _send(sock: trio.socket.SocketType, answer: bytes, client: tuple[object, ...]) -> None:
    with contextlib.suppress(OSError):  # the client is gone
        await sock.sendto(answer, client)


async def _message(stream: trio.SocketStream) -> bytes:
    """RFC 1035 section 4.2.2: the length, and the message; empty: there is none."""
    (length,) = _LENGTH.unpack(await _exactly(stream, _LENGTH.size) or b"\0\0")
    return await _exactly(stream, length)


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            return b""
        data += more
    return data
