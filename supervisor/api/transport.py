"""A client's socket: its end told from its half-close, every sign that it is gone made one error, a clean farewell."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import trio

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

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

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
        failure: Exception | None = Gone()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when_gone, nursery.cancel_scope)
            try:
                await run(target)
                failure = None
            except Exception as error:  # noqa: BLE001 - carried out of the nursery, which would wrap it
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise (Gone() if departed(failure) else failure)

    async def _cancel_when_gone(self, scope: trio.CancelScope) -> None:
        """An epoll with an empty interest set still reports EPOLLHUP: both directions are closed (epoll_ctl(2))."""
        with select.epoll() as hangup:
            hangup.register(self._stream.socket.fileno(), 0)
            await trio.lowlevel.wait_readable(hangup.fileno())
        scope.cancel()

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
