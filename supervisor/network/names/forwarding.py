"""Asks other name servers: over UDP, and over TCP for what did not fit; one after the other."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import dns.rcode
import trio

from pysup.supervisor.network.inside import run_inside
from pysup.supervisor.network.names import framing, wire
from pysup.supervisor.network.names.upstreams import Upstream, Upstreams
from pysup.supervisor.network.names.wire import Query

_USELESS = (dns.rcode.SERVFAIL, dns.rcode.REFUSED)
"""The next server may know better (moby libnetwork/resolver.go, forwardExtDNS)."""


async def ask(query: Query, upstreams: Upstreams) -> bytes | None:
    """The first useful answer, as it came but for its id; None: no server has one."""
    for server in upstreams.servers * upstreams.attempts:
        reply = await _exchange(query, server, upstreams.timeout)
        if reply is not None and wire.rcode_of(reply) not in _USELESS:
            return query.packet[:2] + reply[2:]
    return None


async def _exchange(query: Query, server: Upstream, timeout: float) -> bytes | None:
    """What is truncated is better than nothing."""
    reply = await _tried(_over_udp, query, server, timeout)
    if reply is None or not wire.is_truncated(reply):
        return reply
    return await _tried(_over_tcp, query, server, timeout) or reply


_Way = Callable[[Query, Upstream], Awaitable[bytes | None]]


async def _tried(way: _Way, query: Query, server: Upstream, timeout: float) -> bytes | None:
    with trio.move_on_after(timeout), contextlib.suppress(OSError, trio.BrokenResourceError):
        return await way(query, server)
    return None


async def _over_udp(query: Query, server: Upstream) -> bytes | None:
    """A new socket, so a new random port, and a new random id: both must be guessed by who wants to deceive."""
    number = secrets.randbits(16)
    with await _socket(server, socket.SOCK_DGRAM) as sock:
        await sock.connect((server.address, server.port))
        await sock.send(wire.renumbered(query.packet, number))
        while True:
            reply = await sock.recv(wire.LARGEST)
            if wire.answers(query, number, reply):
                return reply


async def _over_tcp(query: Query, server: Upstream) -> bytes | None:
    number = secrets.randbits(16)
    with await _socket(server, socket.SOCK_STREAM) as sock:
        await sock.connect((server.address, server.port))
        stream = trio.SocketStream(sock)
        await framing.write(stream, wire.renumbered(query.packet, number))
        reply = await framing.read(stream)
        return reply if reply is not None and wire.answers(query, number, reply) else None


async def _socket(server: Upstream, kind: int) -> trio.socket.SocketType:
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    made = await run_inside(server.namespace, partial(socket.socket, family, kind))
    return trio.socket.from_stdlib_socket(made)
