"""Finds where the last N lines begin, reading backwards from the end through as many chunks as they take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pysup.supervisor.logs import files
from pysup.supervisor.logs.places import Place
from pysup.supervisor.logs.records import GAP, Record
from pysup.supervisor.logs.segment import BLOCK, Segment

_READ = 256 << 10


class _Bytes:
    """Of a segment, in blocks that end where they are asked for first: many small chunks are one read backwards."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._start = 0
        self._data = b""

    def newlines(self, start: int, stop: int) -> int:
        """How many there are from one offset to before another, both within the segment."""
        count = 0
        while start < stop:
            if not self._start < stop <= self._start + len(self._data):
                self._start = max(self._segment.base, stop - _READ)
                self._data = self._segment.read(self._start, stop)
            first = max(start, self._start)
            count += self._data.count(b"\n", first - self._start, stop - self._start)
            stop = first
        return count


class Tail(NamedTuple):
    """Reading forward from ``start``, leave out the first ``drop`` lines: what comes then is the tail."""

    start: Place
    drop: int


class _Ends:
    """Counts the ends of lines between a place that moves backwards and the end of the log.

    The last N lines all begin behind the place when there are N ends, and each line that is open at the place
    ends with at least N other lines to come. A line without a newline ends at the end of the log.
    """

    def __init__(self, wanted: int, streams: frozenset[int], end: Place) -> None:
        self.count = 0
        self._wanted = wanted
        self.streams = streams
        self._later: dict[int, int] = {}
        """For each stream: how many lines end after the next end of one of its lines (at least)."""
        self.cut(end.open)

    def cut(self, open_: int) -> None:
        """All open lines end here: at a gap, at the end of the log."""
        before = self.count
        for stream in self._within(open_):
            self._later[stream] = before
            self.count += 1

    def add(self, stream: int, newlines: int) -> None:
        """A chunk with that many newlines."""
        if newlines:
            self.count += newlines
            self._later[stream] = self.count - 1

    def suffice(self, open_: int) -> bool:
        """Tell whether the place, with these streams open, has all the wanted lines behind it."""
        later = (self._later.get(stream, 0) for stream in self._within(open_))
        return self.count >= self._wanted and all(count >= self._wanted for count in later)

    def drop(self, open_: int) -> int:
        """How many whole lines come before the wanted ones; the rest of a line that is open does not count."""
        return max(0, self.count - len(self._within(open_)) - self._wanted)

    def _within(self, open_: int) -> list[int]:
        return [stream for stream in self.streams if open_ >> stream & 1]


def find_tail(directory: int, floor: Place, end: Place, wanted: int, streams: frozenset[int]) -> Tail:
    """The tail of what lies between two places."""
    ends = _Ends(wanted, streams, end)
    for place in _backwards(directory, floor, end, ends):
        if ends.suffice(place.open):
            return Tail(place, ends.drop(place.open))
        floor = place
    return Tail(floor, ends.drop(floor.open))


def _backwards(directory: int, floor: Place, end: Place, ends: _Ends) -> Iterator[Place]:
    """Each place from the end to the floor, after its chunk was counted; as far as segments still exist."""
    stop = end.offset
    numbers = [n for n in files.numbers(directory) if floor.segment <= n <= end.segment]
    for number in reversed(numbers):
        try:
            segment = Segment(directory, number)
        except FileNotFoundError:
            return
        with segment:
            if segment.end() < stop and number != end.segment:
                return
            last = end.record if number == end.segment else segment.count()
            first = floor.record if number == floor.segment else 0
            for place in _through(segment, first, last, stop, ends):
                yield floor if place[:2] == floor[:2] else place
            stop = segment.base


def _through(segment: Segment, first: int, last: int, stop: int, ends: _Ends) -> Iterator[Place]:
    content = _Bytes(segment)
    for begin in range(last - 1 - (last - 1 - first) % BLOCK, first - 1, -BLOCK):
        records = segment.records(begin, min(BLOCK, last - begin))
        for number in range(begin + len(records) - 1, begin - 1, -1):
            record = records[number - begin]
            offset = max(segment.base, min(record.offset, stop))  # read unchecked: a disk may have damaged it
            _count(content, record._replace(offset=offset), stop, ends)
            stop = offset
            yield Place(segment.number, number, offset, record.open)


def _count(content: _Bytes, record: Record, stop: int, ends: _Ends) -> None:
    if record.kind == GAP:
        ends.cut(record.open)
        return
    if record.kind not in ends.streams:
        return
    ends.add(record.kind, content.newlines(record.offset, stop))
