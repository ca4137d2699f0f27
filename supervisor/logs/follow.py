"""Reads a log as it grows: the files first, then it waits at the writer's feed. The disk is the only buffer."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator

import trio

from pysup.supervisor.logs import files, places
from pysup.supervisor.logs.cursor import BLOCK, ENDLESS, Chunk, Cursor
from pysup.supervisor.logs.feed import Feed
from pysup.supervisor.logs.lines import Chunks, Entry, Mark, Shaper, Skipper
from pysup.supervisor.logs.marks import Marked
from pysup.supervisor.logs.reader import LogReader, Query, Range
from pysup.supervisor.logs.records import STDOUT

_SECOND = 1_000_000_000
_MANY = 256
_IDLE = 64
"""Steps of a search (cursor.SEARCHED) that take some milliseconds."""
_SEARCHES = trio.CapacityLimiter(4)
"""Logs that are searched at once for where their last lines begin: each in a thread, as it may be all of a log."""


async def follow(directory: str, feed: Feed | None, query: Query) -> AsyncIterator[list[Entry]]:
    """What a query chooses, and with ``query.follow`` what comes until the feed is closed; several entries at once.

    Rotation and new runs of the container do not end it; ``until`` does, when it has passed. Who stops early
    closes it (``contextlib.aclosing``). Others are served while nothing is found for long.
    """
    async with contextlib.aclosing(_lots(directory, feed, query)) as lots:
        async for entries in lots:
            if entries:
                yield entries
            else:
                await trio.lowlevel.checkpoint()


async def _lots(directory: str, feed: Feed | None, query: Query) -> AsyncGenerator[list[Entry], None]:
    """Now and then one of nothing: lines of one stream may be few among many of the other."""
    reader = LogReader(directory)
    with contextlib.ExitStack() as stack:
        opened = await _opened(reader, query, stack)
        if opened is None:
            return
        found, cursor = opened
        if feed is None or not query.follow or found.is_cut:
            for entries in _together(reader.read(found, cursor, query)):
                yield entries
            return
        if query.marks and query.resume is None and not found.drop:
            # There may be no entry for a long time.
            yield [Entry(0, STDOUT, b"", mark=Mark(found.start.offset, 0, found.start.open))]
        growth = _Growth(query, found, cursor, reader.shaper(query, found, cursor))
        for entries in _together(growth.read_known()):
            yield entries
        while not growth.is_over:
            growth.is_over = feed.closed or _has_passed(query.until)
            for entries in _together(growth.read_new()):
                yield entries
            if not growth.is_over:
                await _wait(feed, growth.offset, query.until)
        if rest := growth.flush():
            yield rest


def _together(steps: Iterable[list[Entry]]) -> Iterator[list[Entry]]:
    """To send each line for itself takes ten times as long; others are served between two lots of them.

    Many steps that give nothing are a lot, too, whatever has been found before them.
    """
    lot: list[Entry] = []
    size = idle = 0
    for entries in steps:
        idle += not entries
        for entry in entries:
            lot.append(entry)
            size += len(entry.data)
            if len(lot) == _MANY or size >= BLOCK:
                yield lot
                lot, size = [], 0
        if idle == _IDLE:
            yield lot
            lot, size, idle = [], 0, 0
    if lot:
        yield lot


async def _opened(
    reader: LogReader, query: Query, stack: contextlib.ExitStack
) -> tuple[Range, Cursor] | None:
    if not query.tail:
        return reader.open(query, stack)
    return await trio.to_thread.run_sync(reader.open, query, stack, limiter=_SEARCHES)


class _Growth:
    """A log as it grows, from the beginning of the query on."""

    def __init__(self, query: Query, found: Range, cursor: Cursor, shaper: Shaper) -> None:
        self.is_over = False
        """What comes is not wanted."""
        self._query = query
        self._found = found
        self._cursor = cursor
        self._shaper = shaper

    @property
    def offset(self) -> int:
        """Up to where it has been read."""
        return self._cursor.offset

    def read_known(self) -> Iterator[list[Entry]]:
        """What was there at the start."""
        while chunk := self._cursor.next(self._found.end.offset):
            yield self._shaper.feed(chunk)
        self._cursor.merge = False  # from here on chunks are chosen by their times
        if not self._query.lines:
            # A prompt, or the beginning of a line that has no end yet, is shown as it comes.
            yield self._shaper.flush()
            chunks = Chunks(Skipper(0, 0))
            self._shaper = Marked(chunks, self._cursor, Mark(self.offset)) if self._query.marks else chunks

    def read_new(self) -> Iterator[list[Entry]]:
        """What has come since."""
        while chunk := self._cursor.next():
            if self._query.until is not None and chunk.time > self._query.until:
                self.is_over = True
                return
            if chunk.time >= (self._query.since or 0):
                yield self._shaper.feed(chunk)

    def flush(self) -> list[Entry]:
        """Lines that have no newline."""
        return self._shaper.flush()


def _has_passed(until: int | None) -> bool:
    return until is not None and until < time.time_ns()


async def _wait(feed: Feed, offset: int, until: int | None) -> None:
    left = float("inf") if until is None else (until - time.time_ns()) / _SECOND
    with trio.move_on_after(max(0.0, left)):
        await feed.wait_beyond(offset)


async def raw_from(
    directory: str, feed: Feed, offset: int, end: Callable[[], int | None] = lambda: None
) -> AsyncIterator[tuple[Chunk, int]]:
    """Chunks, each with the offset behind it, until the feed is closed, or to the offset that ``end`` tells.

    It begins at a logical offset. ``end`` is asked again whenever the feed is poked. A reader that is slower than
    rotation gets a gap.
    """
    fd = files.open_directory(directory)
    try:
        cursor = places.cursor_from(fd, offset)
        if cursor is None:
            return
        with contextlib.closing(cursor):
            is_last = False
            while not is_last:
                is_last = feed.closed or end() is not None
                while chunk := cursor.next(_limit(end)):
                    yield chunk, cursor.offset
                if not is_last and end() is None:  # it may have come while a chunk was being sent
                    await feed.wait_beyond(cursor.offset)
    finally:
        os.close(fd)


def _limit(end: Callable[[], int | None]) -> int:
    known = end()
    return ENDLESS if known is None else known
