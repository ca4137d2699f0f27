"""DNS for tests: a server that says what the test wants, and a client, both in any network namespace."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rrset
import trio

from pysup.supervisor.kernel import netns
from pysup.supervisor.network.names import framing

Message = dns.message.Message
Answers = Callable[[Message], Sequence[Message]]
PORT = 53


def a_record(query: Message, address: str = "192.0.2.1", count: int = 1) -> Message:
    """An answer with addresses that count up from one."""
    reply = dns.message.make_response(query, recursion_available=True)
    head, _, last = address.rpartition(".")
    texts = [f"{head}.{int(last) + number}" for number in range(count)]
    reply.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "A", *texts)]
    return reply


def truncated(query: Message) -> Message:
    """What tells the client to come back over TCP."""
    reply = dns.message.make_response(query, recursion_available=True)
    reply.flags |= dns.flags.TC
    return reply


def sock(kind: int, inside: int | None) -> socket.socket:
    """A new socket, here or in a namespace."""
    if inside is None:
        return socket.socket(socket.AF_INET, kind)
    with netns.entered(inside):
        return socket.socket(socket.AF_INET, kind)


@asynccontextmanager
async def name_server(
    address: str, over_udp: Answers, over_tcp: Answers | None = None, *, inside: int | None = None
) -> AsyncIterator[None]:
    """Run a server on port 53; without ``over_tcp`` it has no TCP."""
    with sock(socket.SOCK_DGRAM, inside) as udp, sock(socket.SOCK_STREAM, inside) as tcp:
        udp.bind((address, PORT))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, PORT))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_udp, trio.socket.from_stdlib_socket(udp), over_udp)
            if over_tcp is not None:
                tcp.listen()
                nursery.start_soon(_tcp, trio.socket.from_stdlib_socket(tcp), over_tcp)
            yield
            nursery.cancel_scope.cancel()


async def _udp(udp: trio.socket.SocketType, answers: Answers) -> None:
    while True:
        packet, client = await udp.recvfrom(65535)
        for reply in answers(dns.message.from_wire(packet)):
            await udp.sendto(reply.to_wire(), client)


async def _tcp(tcp: trio.socket.SocketType, answers: Answers) -> None:
    async def talk(stream: trio.SocketStream) -> None:
        while (packet := await framing.read(stream)) is not None:
            for reply in answers(dns.message.from_wire(packet)):
                await framing.write(stream, reply.to_wire())

    await trio.serve_listeners(talk, [trio.SocketListener(tcp)])


# -- the client ----------------------------------------------------------------------------------------------

RESOLVER = ("127.0.0.11", PORT)


@asynccontextmanager
async def udp_client(inside: int) -> AsyncIterator[trio.socket.SocketType]:
    """Connected to the resolver in a container."""
    with trio.socket.from_stdlib_socket(sock(socket.SOCK_DGRAM, inside)) as udp:
        await udp.connect(RESOLVER)
        yield udp


@asynccontextmanager
async def tcp_client(inside: int) -> AsyncIterator[trio.SocketStream]:
    """The same over TCP."""
    tcp = trio.socket.from_stdlib_socket(sock(socket.SOCK_STREAM, inside))
    async with trio.SocketStream(tcp) as stream:
        await tcp.connect(RESOLVER)
        yield stream


async def ask(inside: int, name: str, kind: str = "A", **options: object) -> Message:
    """Ask over UDP."""
    query = dns.message.make_query(name, kind, **options)
    async with udp_client(inside) as udp:
        await udp.send(query.to_wire())
        reply = dns.message.from_wire(await udp.recv(65535), ignore_trailing=False)
    assert query.is_response(reply)
    return reply


async def ask_on(stream: trio.SocketStream, name: str, kind: str = "A") -> Message:
    """Ask over a connection."""
    query = dns.message.make_query(name, kind)
    await framing.write(stream, query.to_wire())
    packet = await framing.read(stream)
    assert packet is not None
    reply = dns.message.from_wire(packet)
    assert query.is_response(reply)
    return reply


def data(reply: Message) -> list[str]:
    """The records of an answer."""
    return [str(record) for rrset in reply.answer for record in rrset]
