"""A request's body as a file for a thread: through a pipe, so that memory never holds it."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import IO, Any, TypeVar, cast

import trio

from pysup.supervisor.errors import PysupError, Unavailable
from pysup.supervisor.kernel.files import set_pipe_size

T = TypeVar("T")
WAITING = trio.CapacityLimiter(256)
"""Threads that may wait for somebody else: for a client that sends an archive, or takes one, or for what a container
has mounted (FUSE). They have room of their own: however many wait, the daemon's other work finds a thread.
"""
_PIPE = 1 << 20
"""Bytes on their way; where the user may not have as many, the pipe stays as it is (pipe(7))."""


async def feed(chunks: AsyncIterator[bytes], consume: Callable[[IO[bytes]], T], verb: str) -> T:
    """Run ``consume(file)`` in a thread, where ``file`` gives the chunks; what it returns.

    Raises what ``consume`` raises; Unavailable, "cannot <verb>: …", for its OSError. If the body breaks off, that
    is raised, whatever ``consume`` makes of the end.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError):
        set_pipe_size(writer, _PIPE)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_copy, chunks, trio.lowlevel.FdStream(writer))
        try:
            found = await trio.to_thread.run_sync(_consume, reader, consume, limiter=WAITING)
        except (PysupError, OSError) as error:
            failure = error
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise told(failure, verb) from failure
    return found


def told(error: Exception, verb: str) -> Exception:
    """The machine's failures by the name of what was tried: a full disk."""
    return Unavailable(f"cannot {verb}: {error.strerror}") if isinstance(error, OSError) else error


async def _copy(chunks: AsyncIterator[bytes], pipe: trio.lowlevel.FdStream) -> None:
    """Whatever happens, the pipe is closed: the thread must not wait for ever."""
    async with pipe:
        with suppress(trio.BrokenResourceError):  # the thread has had enough, and tells why
            async for chunk in chunks:
                await pipe.send_all(chunk)


def _consume(reader: int, consume: Callable[[IO[bytes]], T]) -> T:
    with open(reader, "rb", buffering=0) as file:
        return consume(cast("IO[bytes]", file))


async def drain(
    produce: Callable[[IO[bytes]], None], send: Callable[[bytes], Awaitable[None]], verb: str
) -> None:
    """The other way round: run ``produce(file)`` in a thread, and send what it writes, piece by piece.

    Raises what ``produce`` raises; Unavailable, "cannot <verb>: …", for its OSError. When nobody takes any more, it
    gets a BrokenPipeError, and that is the end.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError):
        set_pipe_size(writer, _PIPE)
    failures: list[Exception] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_produce, produce, writer, failures)
        async with trio.lowlevel.FdStream(reader) as pipe:
            while piece := await pipe.receive_some(_PIPE):
                await send(piece)
    for failure in failures:
        raise told(failure, verb) from failure


async def _produce(produce: Callable[[IO[bytes]], None], writer: int, failures: list[Exception]) -> None:
    try:
        await trio.to_thread.run_sync(_write, produce, writer, limiter=WAITING)
    except (PysupError, OSError) as error:
        failures.append(error)


def _write(produce: Callable[[IO[bytes]], None], writer: int) -> None:
    """Small pieces go together: a header has half a kilobyte."""
    with suppress(BrokenPipeError), open(writer, "wb", buffering=_PIPE) as target:
        produce(target)


class Interruptible(io.RawIOBase):
    """Reads through, until the task that waits for this thread is cancelled."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = cast("Any", source)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer
        """As RawIOBase. Raises trio.Cancelled."""
        trio.from_thread.check_cancelled()
        return cast("int", self._source.readinto(buffer))
