"""The resolver of one container: UDP and TCP. Idle, it is two descriptors and two tasks that sleep.

What one container asks for is bounded, in memory and in descriptors, and each packet gives way to other tasks: a
flood from one takes none of another's place. What it does to the sockets in its namespace (ss -K) ends its own
resolver's work at most.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import dns.rcode
import dns.rdatatype
import trio

from pysup.supervisor.network.names import forwarding, framing, wire
from pysup.supervisor.network.names.known import Known
from pysup.supervisor.network.names.sockets import Sockets
from pysup.supervisor.network.names.upstreams import Upstreams
from pysup.supervisor.network.names.wire import Ignored, Query
from pysup.supervisor.network.names.zone import Zone

MOST_FORWARDED = 128
"""Questions that wait for other servers at a time; more are refused at once, as docker does (with 1024)."""
MOST_CONNECTIONS = 16
IDLE = 10.0
"""Seconds that a connection may wait for its next question, or for a client that does not read."""
_PAUSE = 0.1
"""Seconds after an error of the socket, so that one that lasts is no busy loop."""
_SHORT = 2
"""Labels of a name without a dot, with that of the root."""
_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)


async def serve(sockets: Sockets, zone: Callable[[], Zone], upstreams: Callable[[], Upstreams]) -> None:
    """Answer until cancelled; closes the sockets. Zone and other servers are asked for at each question."""
    resolver = Resolver(zone, upstreams)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_udp, trio.socket.from_stdlib_socket(sockets.udp), resolver)
            nursery.start_soon(_serve_tcp, trio.socket.from_stdlib_socket(sockets.tcp), resolver)
    finally:
        sockets.close()


class Resolver:
    """What both ways of asking share."""

    def __init__(self, zone: Callable[[], Zone], upstreams: Callable[[], Upstreams]) -> None:
        self._zone = zone
        self._upstreams = upstreams
        self._turns = wire.Turns()
        self._known = Known()
        self._forwarded = trio.CapacityLimiter(MOST_FORWARDED)

    def begin(self, packet: bytes, *, over_tcp: bool) -> Query | bytes | None:
        """The answer; None: there is none to give. A query must be asked of other servers."""
        zone = self._zone()
        known = self._known.find(packet, zone)
        if known is not None:
            return known
        query = wire.read(packet, over_tcp=over_tcp)
        if not isinstance(query, Query):
            return None if isinstance(query, Ignored) else query
        answer = wire.answer(query, zone, self._turns)
        if answer is None:
            return self._forwardable(query)
        self._known.keep(packet, answer)
        return answer

    def _forwardable(self, query: Query) -> Query | bytes:
        if not self._upstreams().short_names and _is_short(query):
            return wire.nothing(query)
        try:
            self._forwarded.acquire_on_behalf_of_nowait(query)
        except trio.WouldBlock:
            return wire.failure(query, dns.rcode.REFUSED)
        return query

    async def finish(self, query: Query) -> bytes:
        """Ask other servers, and let others have the place that begin() took."""
        try:
            reply = await forwarding.ask(query, self._upstreams())
        finally:
            self._forwarded.release_on_behalf_of(query)
        if reply is None:
            return wire.failure(query, dns.rcode.SERVFAIL)
        return wire.fitted(reply, query.limit)


def _is_short(query: Query) -> bool:
    return len(query.name.labels) <= _SHORT and query.kind in _ADDRESSES


# -- UDP -----------------------------------------------------------------------------------------------------


async def _serve_udp(sock: trio.socket.SocketType, resolver: Resolver) -> None:
    async with trio.open_nursery() as nursery:
        while True:
            try:
                packet, client = await sock.recvfrom(wire.LARGEST)
            except OSError:
                await trio.sleep(_PAUSE)
                continue
            reply = resolver.begin(packet, over_tcp=False)
            if isinstance(reply, Query):
                nursery.start_soon(_forward, sock, client, reply, resolver)
            elif reply is not None:
                await _send(sock, client, reply)


async def _forward(
    sock: trio.socket.SocketType, client: tuple[object, ...], query: Query, resolver: Resolver
) -> None:
    await _send(sock, client, await resolver.finish(query))


async def _send(sock: trio.socket.SocketType, client: tuple[object, ...], reply: bytes) -> None:
    """Whom it does not reach asks again."""
    with contextlib.suppress(OSError):
        await sock.sendto(reply, client)


# -- TCP -----------------------------------------------------------------------------------------------------


async def _serve_tcp(sock: trio.socket.SocketType, resolver: Resolver) -> None:
    connections = trio.CapacityLimiter(MOST_CONNECTIONS)

    async def talk(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.WouldBlock):
            connections.acquire_nowait()
            try:
                await _talk(stream, resolver)
            finally:
                connections.release()

    try:
        await trio.serve_listeners(talk, [trio.SocketListener(sock)])
    except* OSError:
        pass  # the container has ended its own listener


async def _talk(stream: trio.SocketStream, resolver: Resolver) -> None:
    """One question after the other, until the client goes (RFC 7766)."""
    while True:
        packet = None
        with trio.move_on_after(IDLE):
            packet = await framing.read(stream)
        if packet is None:
            return
        reply = resolver.begin(packet, over_tcp=True)
        if isinstance(reply, Query):
            reply = await resolver.finish(reply)
        if reply is None:
            return
        with trio.move_on_after(IDLE) as patience:
            await framing.write(stream, reply)
        if patience.cancelled_caught:
            return
