"""What ``logs`` asks for, from the files alone: also for a container that is gone, also while it writes."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from pysup.supervisor.logs import files, places
from pysup.supervisor.logs.cursor import Cursor
from pysup.supervisor.logs.lines import MAX_LINE, Chunks, Dropper, Entry, Lines, Mark, Shaper, Skipper
from pysup.supervisor.logs.marks import Marked
from pysup.supervisor.logs.places import Place
from pysup.supervisor.logs.records import STREAMS
from pysup.supervisor.logs.tail import Tail, find_tail

__all__ = ["Entry", "LogReader", "Query"]

_FOREVER = 1 << 63


@dataclass(frozen=True, slots=True)
class Query:
    """Which part of a log. Times are nanoseconds since the epoch, both ends included."""

    since: int | None = None
    until: int | None = None
    """By the time at which a line begins: the rest of a line is no line, the whole of one is."""
    tail: int | None = None
    """The last lines of what the rest of the query chooses."""
    streams: frozenset[int] = STREAMS
    follow: bool = False
    lines: bool = True
    """False: chunks may come as they are, larger than a line or smaller; the bytes are the same, and it is fast."""
    marks: bool = False
    """Each entry has the mark of the place behind it."""
    resume: Mark | None = None
    """Go on behind such a mark, which an earlier reader of the same query was given."""


class Range(NamedTuple):
    """Where a query begins and ends in the log as it is now."""

    start: Place
    drop: int
    end: Place
    is_cut: bool
    """The end is that of the query (until), not that of the log: lines that are open there are completed."""


class LogReader:
    """Reads one container's log directory. It holds nothing open between two calls."""

    def __init__(self, directory: str, *, max_line: int = MAX_LINE) -> None:
        self._directory = directory
        self._max_line = max_line

    def select(self, query: Query) -> Iterator[Entry]:
        """What the query chooses of the log as it is now, in the order of arrival.

        Memory is constant; a gap (also one that rotation makes meanwhile) is an entry with its count. No
        directory, or an empty one, is an empty log. Raises OSError.
        """
        with contextlib.ExitStack() as stack:
            opened = self.open(query, stack)
            if opened is not None:
                for entries in self.read(*opened, query):
                    yield from entries

    def open(self, query: Query, stack: contextlib.ExitStack) -> tuple[Range, Cursor] | None:
        """Where to read, and a cursor there, which the stack closes; None if there is no log."""
        try:
            directory = files.open_directory(self._directory)
        except FileNotFoundError:
            return None
        stack.callback(os.close, directory)
        found = find_range(directory, query)
        if found is None:
            return None
        cursor = _cursor(directory, found, query)
        stack.callback(cursor.close)
        return found, cursor

    def read(self, found: Range, cursor: Cursor, query: Query) -> Iterator[list[Entry]]:
        """What lies between the two ends that open() has found: what each step gives, often nothing."""
        shaper = self.shaper(query, found, cursor)
        while chunk := cursor.next(found.end.offset):
            yield shaper.feed(chunk)
        if found.is_cut:
            yield from self._complete(found, cursor, query, shaper)
        yield shaper.flush()

    def shaper(self, query: Query, found: Range, cursor: Cursor) -> Shaper:
        """Lines, or chunks where they do. The last N lines can only be told by lines."""
        begin = query.resume or Mark(found.start.offset, 0, found.start.open)
        skipper = Skipper(begin.open, self._max_line if query.tail is None else _FOREVER)
        by_line = query.lines or query.tail is not None
        shaper: Shaper = Lines(skipper, self._max_line) if by_line else Chunks(skipper)
        if query.marks:
            shaper = Marked(shaper, cursor, begin)
        return shaper if query.tail is None else Dropper(shaper, found.drop)

    def _complete(self, found: Range, cursor: Cursor, query: Query, shaper: Shaper) -> Iterator[list[Entry]]:
        """Read on until the lines that began before the end are whole, or too long to wait for."""
        left = {stream: self._max_line for stream in query.streams if found.end.open >> stream & 1}
        while left and (chunk := cursor.next()):
            if chunk.stream not in left:
                yield []
                continue
            line, newline, _ = chunk.data.partition(b"\n")
            line = line[: left[chunk.stream]]
            yield shaper.feed(chunk._replace(data=line + newline))
            left[chunk.stream] -= len(line)
            if newline or not left[chunk.stream]:
                del left[chunk.stream]


def _cursor(directory: int, found: Range, query: Query) -> Cursor:
    merge = not query.lines
    if query.resume is None:
        return places.cursor_at(directory, found.start, streams=query.streams, merge=merge)
    cursor = places.cursor_from(directory, query.resume.offset)
    if cursor is None:
        raise FileNotFoundError(errno.ENOENT, "the log was removed")
    cursor.streams, cursor.merge = query.streams, merge
    return cursor


def find_range(directory: int, query: Query) -> Range | None:
    """Find the two ends of a query; None if there is no log."""
    if query.resume is not None:
        found = find_range(directory, replace(query, since=None, tail=None, resume=None))
        return found and found._replace(start=found.start._replace(offset=query.resume.offset))
    start, end, is_cut = places.oldest(directory), places.newest(directory), False
    if start is None or end is None:
        return None
    if query.since is not None:
        start = places.first_at(directory, query.since) or start
    if query.until is not None:
        cut = places.first_at(directory, query.until + 1)
        if cut is not None and cut.offset < end.offset:
            end, is_cut = cut, True
    if query.tail == 0 or start.offset > end.offset:
        return Range(end, 0, end, is_cut=False)
    tail = Tail(start, 0)
    if query.tail is not None:
        tail = find_tail(directory, start, end, query.tail, query.streams)
    return Range(tail.start, tail.drop, end, is_cut)


def end_at(directory: str, time: int) -> int:
    """The logical offset of the first byte that was copied after ``time`` (ns); the end if there is none."""
    try:
        fd = files.open_directory(directory)
    except FileNotFoundError:
        return 0
    try:
        place = places.first_at(fd, time + 1)
    finally:
        os.close(fd)
    return 0 if place is None else place.offset
