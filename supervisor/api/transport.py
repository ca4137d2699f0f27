"""A client's socket: its end told from its half-close, every sign that it is gone made one error, a clean farewell."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import trio

from pysup.supervisor.api.departures import Departures

RECEIVE = 64 << 10

Target = TypeVar("Target")


class Gone(Exception):
    """The client left, or must be left: there is nobody to tell."""


def departed(error: BaseException) -> bool:
    """Whether an error, or a nursery's group of them, says no more than that the client is gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(departed(inner) for inner in error.exceptions)
    return isinstance(error, Gone)


class Transport:
    """One connection's bytes."""

    def __init__(self, stream: trio.SocketStream, departures: Departures) -> None:
        self._stream = stream
        self._departures = departures

    @property
    def socket(self) -> trio.socket.SocketType:
        """The connection's."""
        return self._stream.socket

    async def receive_some(self) -> bytes:
        """What the client sent; b"" once it has closed its writing side. Raises Gone."""
        try:
            return bytes(await self._stream.receive_some(RECEIVE))
        except trio.BrokenResourceError as error:
            raise Gone from error

    async def send_all(self, data: bytes) -> None:
        """Send to the client. Raises Gone."""
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise Gone from error

    async def while_there(self, run: Callable[[Target], Awaitable[None]], target: Target) -> None:
        """Run until it is done, or until the client is gone for good: then raise Gone."""
        try:
            with self._departures.cancelling(self._stream.socket.fileno()):
                return await run(target)
        except Exception as error:
            if departed(error):
                raise Gone from error
            raise
        raise Gone

    async def close(self) -> None:
        """Close so that the client reads what was sent and then an end, not an error.

        A unix socket that is closed over unread input gives its peer ECONNRESET (net/unix/af_unix.c,
        unix_release_sock): ``yes | docker run -i …`` would fail with it. With both directions shut down the
        peer can send no more (EPIPE), and what is there is taken.
        """
        with suppress(OSError):
            self._stream.socket.shutdown(socket.SHUT_RDWR)
            while os.read(self._stream.socket.fileno(), RECEIVE):
                pass
        await self._stream.aclose()
