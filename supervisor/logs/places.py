"""Finds places in a log by time and by offset: by halving over segments and records, never by reading on."""

from __future__ import annotations

import bisect
import contextlib
from typing import NamedTuple

from pysup.supervisor.logs import files
from pysup.supervisor.logs.cursor import Cursor
from pysup.supervisor.logs.records import STREAMS, open_after
from pysup.supervisor.logs.segment import Segment

_NEVER = 1 << 64
REST = 64 << 10
"""Bytes at the beginning of a log in which a line ends whose beginning was rotated away; else it has none."""


class Place(NamedTuple):
    """Between two chunks."""

    segment: int
    record: int
    """The number of the record that begins here, or will."""
    offset: int
    open: int
    """As Record.open: what is left of a line that began before is no line. At the oldest place only where that is
    little (_cut_lines): of a line without an end what is left is all there is of it.
    """


def oldest(directory: int) -> Place | None:
    """Where the log begins, now that rotation has removed what was before; None if there is none."""
    for number in files.numbers(directory):
        try:
            segment = Segment(directory, number)
        except FileNotFoundError:
            continue
        first, base = segment.records(0, 1), segment.base
        with contextlib.closing(Cursor(directory, segment, record=0, offset=base)) as cursor:
            return Place(number, 0, base, _cut_lines(cursor, first[0].open) if first else 0)
    return None


def _cut_lines(cursor: Cursor, open_: int) -> int:
    """Which of the streams that are within a line end it soon."""
    found, end = 0, cursor.offset + REST
    while open_ & ~found and (chunk := cursor.next(end)):
        found |= open_ & 1 << chunk.stream if b"\n" in chunk.data else 0
    return found


def newest(directory: int) -> Place | None:
    """The end of the log as it is now."""
    while numbers := files.numbers(directory):
        with contextlib.suppress(FileNotFoundError), Segment(directory, numbers[-1]) as segment:
            return _end_of(segment)
    return None


def _end_of(segment: Segment) -> Place:
    end = segment.end()
    count = segment.count()
    while count and not segment.settled(count - 1, end, 1):
        count -= 1
    if not count:
        return Place(segment.number, 0, end, 0)
    last = segment.records(count - 1, 1)[0]
    last_byte = segment.read(end - 1, end) if last.offset < end else b""
    return Place(segment.number, count, end, open_after(last, last_byte))


def first_at(directory: int, time: int) -> Place | None:
    """Where the first chunk begins that is not before ``time`` (ns); the end of the log if there is none."""
    numbers = files.numbers(directory)
    at = bisect.bisect_left(numbers, time, key=lambda number: _first_time(directory, number))
    for number in numbers[max(0, at - 1) : at + 1]:
        place = _first_in(directory, number, time)
        if place is not None:
            return oldest(directory) if place[:2] == (numbers[0], 0) else place
    return newest(directory)


def _first_time(directory: int, number: int) -> int:
    """A segment that is gone was before everything; one without a record is the newest."""
    try:
        with Segment(directory, number) as segment:
            first = segment.records(0, 1)
            return first[0].time if first else _NEVER
    except FileNotFoundError:
        return -1


def _first_in(directory: int, number: int, time: int) -> Place | None:
    try:
        with Segment(directory, number) as segment:
            record = segment.first_at(time)
            found = segment.records(record, 1)
            offset = segment.within(found[0].offset) if found else 0
    except FileNotFoundError:
        return None
    if not found:
        return None
    return Place(number, record, offset, found[0].open)


def cursor_at(
    directory: int, place: Place, *, streams: frozenset[int] = STREAMS, merge: bool = False
) -> Cursor:
    """Begin to read at a place; at the oldest one if the place has been rotated away meanwhile."""
    while True:
        try:
            segment = Segment(directory, place.segment)
        except FileNotFoundError:
            found = oldest(directory)
            if found is None:
                raise
            place = found
            continue
        return Cursor(
            directory, segment, record=place.record, offset=place.offset, streams=streams, merge=merge
        )


def cursor_from(directory: int, offset: int) -> Cursor | None:
    """Begin to read at a logical offset; where the log is older, its first chunk is a gap. None: no log."""
    for number in reversed(files.numbers(directory)):
        try:
            segment = Segment(directory, number)
        except FileNotFoundError:
            break
        if segment.base <= offset:
            return Cursor(directory, segment, record=segment.holding(offset), offset=offset, merge=True)
        segment.close()
    place = oldest(directory)
    if place is None:
        return None
    cursor = cursor_at(directory, place, merge=True)
    cursor.missed = place.offset - offset
    return cursor
