"""HTTP/1.1 over listening sockets: h11 parses, trio carries. One task for each connection.

Why not an ASGI server: attach and exec take the connection itself over (hijack), and a client that has shut its
writing side down is still there. Disconnects are told from half-closes by EPOLLHUP, which a socket reports only
when both directions are closed (poll(2)).
"""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from pysup.supervisor.api import peers
from pysup.supervisor.api.connection import Connection
from pysup.supervisor.api.departures import Departures
from pysup.supervisor.api.places import Places
from pysup.supervisor.api.tls import Witness
from pysup.supervisor.api.transport import Transport
from pysup.supervisor.api.wire import Answer, Request

log = logging.getLogger(__name__)

App = Callable[[Request], Awaitable[Answer]]
MAX_CONNECTIONS = 1024
"""Of each kind, unix and TCP. One more has the place of the one that has been waited for longest (places.py)."""
MAX_HANDSHAKES = 64
"""TLS handshakes at once: until it is done, nobody knows who it is."""
HANDSHAKE_WITHIN = 10.0
"""Seconds for one."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 0.1
"""Seconds to wait when there is no descriptor for another connection."""


async def serve(
    listener: trio.SocketListener,
    app: App,
    tls: ssl.SSLContext | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept connections until cancelled; what a connection does wrong ends only that connection.

    ``tls``: who cannot show a certificate that it trusts gets no further than the handshake.
    """
    places, handshakes = Places(MAX_CONNECTIONS), Places(MAX_HANDSHAKES)
    departures = Departures()

    async def welcome(stream: trio.SocketStream) -> None:
        if tls is None:
            await _serve_one(stream, departures, app, places)
            return
        secured = await _shake_hands(stream, tls, handshakes)
        if secured is None:
            await trio.aclose_forcefully(stream)
        else:
            await _take(places, stream)
            await _serve_one(secured, departures, app, places)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(departures.watch)
        task_status.started()
        while True:
            stream = await _accept(listener)
            await _take(places if tls is None else handshakes, stream)
            nursery.start_soon(welcome, stream)


async def _accept(listener: trio.SocketListener) -> trio.SocketStream:
    told = False
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            if not told:
                log.error("cannot accept a connection: %s", error.strerror)
            told = True
            await trio.sleep(_PAUSE)


async def _take(places: Places, stream: trio.SocketStream) -> None:
    """A place for a connection; one that is cancelled meanwhile is closed."""
    try:
        await places.take()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


async def _shake_hands(
    stream: trio.SocketStream, tls: ssl.SSLContext, handshakes: Places
) -> trio.SSLStream[trio.SocketStream] | None:
    """None for who does not come through: too slow, no TLS, no certificate, or one of somebody else's."""
    witness = Witness(tls)
    secured = trio.SSLStream(stream, witness.as_context(), server_side=True, https_compatible=True)
    try:
        with trio.move_on_after(HANDSHAKE_WITHIN), handshakes.waiting():
            try:
                await secured.do_handshake()
            except trio.BrokenResourceError:
                await _say_why(stream, witness)
            else:
                return secured
    finally:
        handshakes.give_back()
    return None


async def _say_why(stream: trio.SocketStream, witness: Witness) -> None:
    """What is wrong with the certificate; trio keeps that for itself."""
    with suppress(trio.BrokenResourceError):
        await stream.send_all(witness.unsent())
        await stream.send_eof()
        while await stream.receive_some():  # closed over unread bytes, the connection would be reset
            pass


async def _serve_one(
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
    departures: Departures,
    app: App,
    places: Places,
) -> None:
    transport = Transport(stream, departures)
    try:
        await Connection(transport, app, peers.caller(stream), places).serve()
    except Exception:
        log.exception("a connection failed")
    finally:
        places.give_back()
        await transport.close()
