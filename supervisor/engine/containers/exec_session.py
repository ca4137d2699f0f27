"""A started exec as its client sees it, and the copying of its output to that client."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

from pysup.supervisor.engine.containers.commands import Reply
from pysup.supervisor.engine.containers.stdin import Stdin
from pysup.supervisor.errors import Conflict
from pysup.supervisor.kernel.terminal import set_window_size
from pysup.supervisor.runtime.launch import Stdio

STDOUT, STDERR = 1, 2
CHUNK = 64 << 10


class ExecSession:
    """The streams of one exec; the same shape as an Attachment.

    Output is handed over chunk by chunk: a slow client makes its own exec wait, and nobody else.
    """

    def __init__(self, *, tty: bool, has_stdin: bool) -> None:
        self.tty = tty
        self.has_stdin = has_stdin
        self.started = Reply()
        self.perform: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        """Runs the exec to its end (execs.py)."""
        self._stdin = Stdin()
        self._send, self._receive = trio.open_memory_channel[tuple[int, bytes]](0)
        self._master: int | None = None
        self._over = False
        self._waiting: set[trio.CancelScope] = set()

    # -- the client's side -----------------------------------------------------------------------------------

    async def chunks(self) -> AsyncIterator[tuple[int, bytes]]:
        """The output as (1 stdout | 2 stderr, bytes), until the process has ended."""
        async for chunk in self._receive:
            yield chunk

    async def write_stdin(self, data: bytes) -> None:
        """Write all of it."""
        await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """The client has no more input: the process reads end of file."""
        await self._stdin.close()

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size (ioctl_tty(2), TIOCSWINSZ)."""
        if self._master is None:
            raise Conflict("cannot resize exec: it has no running terminal")
        set_window_size(self._master, rows, columns)

    def abandon(self) -> None:
        """The client is gone: the process runs on, and what it writes is dropped."""
        self._receive.close()

    # -- the process's side ----------------------------------------------------------------------------------

    def connect(self, stdio: Stdio, close_stdin: Callable[[], Awaitable[None]]) -> None:
        """The process is there; ``close_stdin`` closes every copy of its stdin pipe's writing end."""
        self._master = stdio.master
        if stdio.master is not None:
            self._stdin.connect(stdio.master, None)
        elif stdio.stdin is not None:
            self._stdin.connect(stdio.stdin, close_stdin)

    async def copy(self, stdio: Stdio) -> None:
        """Copy until every stream has ended, or until process_ended(): then only what is there already.

        A child that the process leaves behind may hold the pipes for ever. Only the waiting is cut short: a
        chunk that was read is handed over.
        """
        async with trio.open_nursery() as nursery:
            for fd, stream in readable(stdio):
                nursery.start_soon(self._copy_stream, fd, stream)

    def process_ended(self) -> None:
        """Wait for no more output."""
        self._over = True
        for waiting in self._waiting:
            waiting.cancel()

    async def _copy_stream(self, fd: int, stream: int) -> None:
        os.set_blocking(fd, False)
        while (data := read_some(fd)) != b"":
            if data is not None:
                await self._hand_over(stream, data)
            elif self._over:
                return
            else:
                await self._wait(fd)

    async def _wait(self, fd: int) -> None:
        with trio.CancelScope() as waiting:
            self._waiting.add(waiting)
            try:
                await trio.lowlevel.wait_readable(fd)
            finally:
                self._waiting.discard(waiting)

    async def _hand_over(self, stream: int, data: bytes) -> None:
        try:
            await self._send.send((stream, data))
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()

    def ended(self) -> None:
        """Nothing more comes."""
        self._master = None
        self._stdin.disconnect()
        self._send.close()


def readable(stdio: Stdio) -> list[tuple[int, int]]:
    """The descriptors that output comes from, with their stream numbers."""
    if stdio.master is not None:
        return [(stdio.master, STDOUT)]
    streams = ((stdio.stdout, STDOUT), (stdio.stderr, STDERR))
    return [(fd, stream) for fd, stream in streams if fd is not None]


def read_some(fd: int) -> bytes | None:
    """A chunk; None if there is none now, b"" at the end (a pty's end is EIO)."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise
