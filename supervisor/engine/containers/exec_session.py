"""A started exec as its client sees it, and the copying of its output to that client."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import trio

from pysup.supervisor.engine.containers.commands import Reply
from pysup.supervisor.engine.containers.stdin import Stdin
from pysup.supervisor.errors import Conflict
from pysup.supervisor.kernel.terminal import set_window_size
from pysup.supervisor.logs.order import watch
from pysup.supervisor.runtime.launch import Stdio

STDOUT, STDERR = 1, 2
CHUNK = 64 << 10


Release = Callable[[str], Awaitable[None]]
"""By the descriptor's name: ``stdin`` or ``master`` (runtime/launch.py, Stdio)."""


async def nothing_to_release(_name: str) -> None:
    """There are no others."""
    await trio.lowlevel.checkpoint()


class ExecSession:
    """The streams of one exec; the same shape as an Attachment.

    Output is handed over chunk by chunk: a slow client makes its own exec wait, and nobody else. So what a process has
    left is read from copies of its descriptors, which keep neither it nor its container from their end.
    """

    def __init__(self, exec_id: str, *, tty: bool, has_stdin: bool) -> None:
        self.id = exec_id
        self.exit_code: int | None = None
        """Once its end is committed."""
        self.tty = tty
        self.has_stdin = has_stdin
        self.begun = False
        """Somebody has asked for its start."""
        self.started = Reply()
        self.perform: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        """Runs the exec to its end (execution.py)."""
        self._stdin = Stdin()
        self._send, self._receive = trio.open_memory_channel[tuple[int, bytes]](0)
        self._master: int | None = None
        self._release: Release = nothing_to_release
        self._over = False
        self._waiting = trio.CancelScope()
        self._streams: dict[int, int] = {}
        """Of each descriptor, a copy, that output comes from."""
        self._epoll: select.epoll | None = None

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

    async def hang_up(self) -> None:
        """The client's terminal is gone, and so is this one, as soon as the program runs.

        With the last copy of the master the kernel sends SIGHUP to the session's leader and the foreground processes,
        and whoever ignores that reads the end of the input (tty_ioctl(4), credentials(7)).
        """
        if not await self.started.succeeded() or self._master is None:
            return
        self._over, self._master = True, None
        self._stdin.end()
        for fd in list(self._streams):
            self._forget(fd)
        self._waiting.cancel()
        await self._release("master")

    # -- the process's side ----------------------------------------------------------------------------------

    def connect(self, stdio: Stdio, release: Release) -> None:
        """The process is there, and has written nothing. ``release`` closes every other copy of a descriptor."""
        self._master, self._release = stdio.master, release
        if stdio.master is not None:
            self._stdin.connect(stdio.master, None)
        elif stdio.stdin is not None:
            self._stdin.connect(stdio.stdin, partial(release, "stdin"))
        for fd, stream in readable(stdio):
            os.set_blocking(fd, False)
            self._streams[os.dup(fd)] = stream
        self._epoll = watch(self._streams)

    async def copy(self) -> None:
        """Copy until every stream has ended, or until process_ended(): then only what is there already.

        What was written first is handed over first, as far as two pipes keep that (logs/order.py). A child that the
        process leaves behind may hold the pipes for ever. Only the waiting is cut short: a chunk that was read is
        handed over.
        """
        assert self._epoll is not None  # noqa: S101 - connected before
        left: list[int] = []
        while self._streams:
            left = in_turn([fd for fd, _ in self._epoll.poll(0) if fd in self._streams], left)
            if left:
                await self._copy_chunk(left)
            elif self._over:
                return
            else:
                with trio.CancelScope() as self._waiting:
                    await trio.lowlevel.wait_readable(self._epoll.fileno())

    def process_ended(self) -> None:
        """Wait for no more output, and give away the descriptors that connect() was called with."""
        self._over = True
        self._master = None
        self._stdin.end()
        self._waiting.cancel()

    async def _copy_chunk(self, left: list[int]) -> None:
        """Of the first, which is the last afterwards; one that is empty is not left, one that has ended no stream."""
        fd = left.pop(0)
        data = read_some(fd)
        if data:
            left.append(fd)
            await self._hand_over(self._streams[fd], data)
        elif data is not None:
            self._forget(fd)

    def _forget(self, fd: int) -> None:
        """Others may have the same pipe: closed and not forgotten, it would be told of still (epoll(7))."""
        del self._streams[fd]
        if self._epoll is not None:
            self._epoll.unregister(fd)
        os.close(fd)

    async def _hand_over(self, stream: int, data: bytes) -> None:
        try:
            await self._send.send((stream, data))
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()

    def ended(self) -> None:
        """Nothing more comes."""
        self._master = None
        self._stdin.end()
        self._send.close()
        for fd in list(self._streams):
            self._forget(fd)
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None


def readable(stdio: Stdio) -> list[tuple[int, int]]:
    """The descriptors that output comes from, with their stream numbers."""
    if stdio.master is not None:
        return [(stdio.master, STDOUT)]
    streams = ((stdio.stdout, STDOUT), (stdio.stderr, STDERR))
    return [(fd, stream) for fd, stream in streams if fd is not None]


def in_turn(came: list[int], left: list[int]) -> list[int]:
    """Whose turn it is: first those to which something was written since, in that order, and each once.

    Who was not read to its end stands behind them: a chunk is all that a pipe holds, so what is left came later.
    """
    return [*came, *(fd for fd in left if fd not in came)]


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
