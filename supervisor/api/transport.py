"""One connection's bytes in both directions, plain or TLS: no HTTP here."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import trio

from pysup.supervisor.api.departures import Departures

RECEIVE = 64 << 10
RECEIVE_MUCH = 256 << 10
"""Bytes at once of a body, which may be an image; a unix socket holds 208 KiB (socket(7), wmem_default)."""
CLOSE_WITHIN = 1.0
"""Seconds for a client by TCP to close, too; and before that, with TLS, to say so."""
_LOOKS, _BETWEEN_LOOKS = 50, 0.001
"""Seconds for a client to read a head: it may have to wait for its CPU."""

Target = TypeVar("Target")


class Gone(Exception):
    """The client left, or must be left: there is nobody to tell."""


def departed(error: BaseException) -> bool:
    """Whether an error, or a nursery's group of them, says no more than that the client is gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(departed(inner) for inner in error.exceptions)
    return isinstance(error, Gone)


class Transport:
    """One connection's bytes. ``stream``: the socket's own, or TLS over it."""

    def __init__(
        self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream], departures: Departures
    ) -> None:
        self._stream = stream
        self._plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        self._departures = departures

    async def receive_some(self, most: int = RECEIVE) -> bytes:
        """What the client sent; b"" once it has closed its writing side. Raises Gone."""
        try:
            return bytes(await self._stream.receive_some(most))
        except trio.BrokenResourceError as error:
            raise Gone from error

    async def send_all(self, data: bytes) -> None:
        """Send to the client. Raises Gone."""
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise Gone from error

    async def until_read(self) -> None:
        """Until the client has read all that was sent, or for a moment: a unix socket tells (SIOCOUTQ, unix(7))."""
        sock = self._plain.socket
        if sock.family != socket.AF_UNIX:
            return
        for _ in range(_LOOKS):
            if not struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]:
                return
            await trio.sleep(_BETWEEN_LOOKS)

    async def while_there(
        self, run: Callable[[Target], Awaitable[None]], target: Target, *, half_closes: bool
    ) -> None:
        """Run until it is done, or until the client is gone for good: then raise Gone.

        ``half_closes``: it may go on reading after it has ended what it sends. With TLS a message says so, and the
        end of the connection is always a departure; on a unix socket a departure is always told from it (EPOLLHUP).
        """
        unix = self._plain.socket.family == socket.AF_UNIX
        half_closes = unix or (half_closes and self._stream is self._plain)
        try:
            with self._departures.cancelling(self._plain.socket.fileno(), half_closes=half_closes):
                return await run(target)
        except Exception as error:
            if departed(error):
                raise Gone from error
            raise
        raise Gone

    async def close(self) -> None:
        """Close so that the client reads what was sent and then an end, not an error.

        A socket that is closed over unread input gives its peer ECONNRESET (net/unix/af_unix.c, unix_release_sock):
        ``yes | docker run -i …`` would fail with it. So what comes is read, on a unix socket after both directions are
        shut down (the peer can send no more: EPIPE), by TCP until the peer has closed, too.
        """
        if isinstance(self._stream, trio.SSLStream):
            with trio.move_on_after(CLOSE_WITHIN), suppress(trio.BrokenResourceError):
                await self._stream.unwrap()
        sock = self._plain.socket
        with suppress(OSError):
            if sock.family == socket.AF_UNIX:
                sock.shutdown(socket.SHUT_RDWR)
                while os.read(sock.fileno(), RECEIVE):
                    pass
            else:
                sock.shutdown(socket.SHUT_WR)
                await self._read_out()
        await self._plain.aclose()

    async def _read_out(self) -> None:
        with trio.move_on_after(CLOSE_WITHIN), suppress(trio.BrokenResourceError):
            while await self._plain.receive_some(RECEIVE):
                pass
