"""Copies one stream of a container to its log, one chunk per wake-up, so that no container starves another.

A stream that writes without pause would wake this process for every line. So after some wake-ups in a row a
busy stream is left alone for a millisecond at a time, while its output gathers in its pipe (as network cards
gather interrupts). An isolated line is copied at once.
"""

from __future__ import annotations

import time

import trio

from pysup.supervisor.logs.order import Order
from pysup.supervisor.logs.sources import Relay, Source, source_of
from pysup.supervisor.logs.writer import CHUNK, LogWriter

RETRY = 1.0
"""Seconds between two attempts to write to a disk that refuses: nobody tells when it has room again."""
REST = 0.001
"""Seconds that a busy stream is left alone: a shorter wait is rounded up to this by epoll_wait(2)."""
BUSY = 8
"""Wake-ups that follow each other within REST before a stream counts as busy: bursts keep their order."""


async def pump(
    fd: int, stream: int, writer: LogWriter, relay: Relay | None = None, order: Order | None = None
) -> None:
    """Copy until the end of file: all writers have closed the pipe (the terminal).

    A terminal (``relay`` given) is stream 1. ``order``: of the process's outputs, of which this is one.
    Cancellation loses nothing: what is not copied is still in the pipe. While the disk is full nothing is read,
    so the container waits as it would at any full pipe.
    """
    source, pace = source_of(fd, relay), Pace()
    while not writer.feed.closed:
        if not source.pending():
            await trio.lowlevel.wait_readable(fd)
        else:
            await trio.lowlevel.checkpoint()
        if order is not None:
            order.copy_earlier(fd, writer)
        try:
            moved = source.copy(writer, stream)
        except BlockingIOError:
            continue
        except OSError as error:
            await _wait_for_room(writer, error)
            continue
        if not moved:
            return
        await _rest(source, pace, moved)


async def _rest(source: Source, pace: Pace, moved: int) -> None:
    if moved >= source.large:
        source.widen()
        pace.was_large(time.monotonic())
    elif pace.is_busy(time.monotonic()):
        await trio.sleep(REST)


async def _wait_for_room(writer: LogWriter, error: OSError) -> None:
    writer.refused(error)
    with trio.move_on_after(RETRY):
        await writer.feed.wait_closed()


class Pace:
    """Tells a busy stream from an occasional one by the times of its wake-ups, and by a chunk that filled its pipe."""

    def __init__(self) -> None:
        self._last = 0.0
        self._row = 0

    def was_large(self, now: float) -> None:
        """A large chunk was copied: whoever wrote it is not done. Without a rest the two would fall into step."""
        self._last, self._row = now, BUSY

    def is_busy(self, now: float) -> bool:
        """A chunk was copied at ``now``: has there been no pause for BUSY chunks?"""
        self._row = self._row + 1 if now - self._last < 2 * REST else 0
        self._last = now
        return self._row >= BUSY


def drain(fd: int, stream: int, writer: LogWriter, relay: Relay | None = None) -> int:
    """After the process's death: copy what is left, without waiting; the bytes left behind (0: all copied).

    Bytes are left behind if the disk refuses them (then give their number to LogWriter.gap), or if somebody
    still writes: no more is copied than the pipe holds, so a descriptor that escaped to a living process
    cannot keep the caller here.
    """
    source = source_of(fd, relay)
    held = source.pending()
    if not held and relay is None:  # a terminal's count leaves out what the kernel has still to pass on
        return 0
    left = max(held, CHUNK)
    try:
        while left > 0 and (moved := source.copy(writer, stream)):
            left -= moved
    except BlockingIOError:
        return 0
    except OSError as error:
        writer.refused(error)
    return source.pending()
