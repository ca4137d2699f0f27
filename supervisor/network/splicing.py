"""What one socket receives another one sends, without a copy: splice(2), through a pipe."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import trio

_SIZE = 1 << 20
"""Bytes of one direction of a connection that are on their way at most."""
_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE


async def pump(source: trio.socket.SocketType, sink: trio.socket.SocketType) -> None:
    """Until the source's end. Raises OSError: one of the two is broken."""
    with _pipe() as (read, write):
        while moved := await _moved(source.fileno(), write, _SIZE, partial(_readable, source)):
            while moved:
                moved -= await _moved(read, sink.fileno(), moved, partial(_writable, sink))


async def _moved(source: int, sink: int, most: int, wait: Callable[[], Awaitable[None]]) -> int:
    """Bytes; 0 at the end. It is the socket that is waited for: the pipe is empty before, and has room after."""
    await trio.lowlevel.checkpoint()
    while True:
        try:
            return os.splice(source, sink, most, flags=_FLAGS)
        except BlockingIOError:
            await wait()


async def _readable(sock: trio.socket.SocketType) -> None:
    await trio.lowlevel.wait_readable(sock)


async def _writable(sock: trio.socket.SocketType) -> None:
    await trio.lowlevel.wait_writable(sock)


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        with suppress(
            PermissionError
        ):  # an ordinary user has much of it already: the kernel's own size will do
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _SIZE)
        yield read, write
    finally:
        os.close(read)
        os.close(write)
