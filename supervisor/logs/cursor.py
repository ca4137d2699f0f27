"""Reads a log forward, chunk by chunk, through its segments, also while it is written and rotated."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from pysup.supervisor.logs import files
from pysup.supervisor.logs.records import GAP, KINDS, STREAMS, Record
from pysup.supervisor.logs.segment import Segment

BLOCK = 64 << 10
"""Bytes that are read at once, and the largest chunk that is returned."""
FEW, MANY = 32, 2048
"""Records that are read at once: few at first, since the place that is looked for may be near."""
SEARCHED = 32
"""Records of other streams that one call goes through."""
ENDLESS = 1 << 63
"""An offset that no log reaches."""


class Chunk(NamedTuple):
    """Bytes of one stream."""

    time: int
    stream: int
    """STDOUT, STDERR; or GAP: ``lost`` bytes are missing here."""
    data: bytes
    """Empty: there is more to come, which takes its time to find."""
    lost: int = 0


def told(lost: int) -> bytes:
    """What is shown in the place of bytes that were lost."""
    return b"pysup: %d bytes of output are missing here\n" % lost


class Cursor:
    """A place in a log that moves forward. Close it."""

    def __init__(
        self,
        directory: int,
        segment: Segment,
        *,
        record: int,
        offset: int,
        streams: frozenset[int] = STREAMS,
        merge: bool = False,
    ) -> None:
        """Begin at ``offset``, which lies in the chunk of that record of the segment (owned from now on).

        ``merge``: chunks of one stream that follow each other come as one, with the time of the first.
        """
        self.offset = offset
        self.streams = streams
        self.merge = merge
        self.missed = 0
        """Bytes that should have come before the first chunk, and are gone."""
        self._directory = directory
        self._segment = segment
        self._current: Record | None = None
        self._ahead: list[Record] = []
        """Records after the current one, in reverse."""
        self._number = record
        """Of the next record: the last in ``_ahead``, or the one to be read next."""
        self._at_once = FEW
        self._end = 0
        """Of the segment, as it was last seen: asked for again only when it is reached."""
        self._block = b""
        self._block_start = 0

    def next(self, limit: int = ENDLESS) -> Chunk | None:
        """The next chunk before the offset ``limit``; None if there is none, for now."""
        if self.missed:
            lost, self.missed = self.missed, 0
            return Chunk(0, GAP, b"", lost)
        while self.offset <= limit:
            if self.offset >= self._end:
                self._end = self._segment.end()
            chunk = self._next_here(min(self._end, limit))
            if chunk is not None:
                return chunk
            following = self._successor() if self.offset < limit else None
            if following is None:
                return None
            if self._end < (final := self._segment.end()):
                # Only now, when the next one exists, is the end of a segment final: it has grown meanwhile.
                self._end = final
                following.close()
                continue
            time = self._current.time if self._current else 0
            if lost := self._enter(following):
                return Chunk(time, GAP, b"", lost)
        return None

    def _next_here(self, end: int) -> Chunk | None:
        for searched in itertools.count(1):
            following = self._following(end)
            stop = end if following is None else min(following.offset, end)
            if self._current is not None and self.offset < stop:
                if self._current.kind in self.streams:
                    return self._take(self._current, stop, end)
                self.offset = stop
            if following is None:
                return None
            self._step(following)
            if following.kind == GAP:
                return Chunk(following.time, GAP, b"", following.value)
            if searched >= SEARCHED and self._current is not None:
                return Chunk(self._current.time, self._current.kind, b"")
        return None

    def _following(self, end: int) -> Record | None:
        """The record after the current one, if it is settled."""
        if not self._ahead:
            count = self._at_once if self.offset < end else 1
            self._ahead = self._segment.settled(self._number, end, count)[::-1]
            self._at_once = MANY
        return self._ahead[-1] if self._ahead else None

    def _step(self, record: Record) -> None:
        self._ahead.pop()
        self._number += 1
        if record.kind in KINDS:  # else it is zeros, after a power cut: its bytes belong to the record before
            self._current = record

    def _take(self, record: Record, stop: int, end: int) -> Chunk:
        """Bytes from the current chunk, and from the next ones of its stream if they are to be merged."""
        last = self._number + MANY
        while self.merge and stop < end and stop - self.offset < BLOCK and self._number < last:
            following = self._following(end)
            if following is None or following.kind != record.kind:
                break
            self._step(following)
            after = self._following(end)
            stop = end if after is None else min(after.offset, end)
        data = self._read(stop, end)
        self.offset = self.offset + len(data) if data else stop
        return Chunk(record.time, record.kind, data)

    def _read(self, stop: int, end: int) -> bytes:
        """Bytes from here to ``stop``, at most, from a block that is read ahead."""
        if not self._block_start <= self.offset < self._block_start + len(self._block):
            self._block = self._segment.read(self.offset, min(end, self.offset + BLOCK))
            self._block_start = self.offset
        first = self.offset - self._block_start
        return self._block[first : first + stop - self.offset]

    def _successor(self) -> Segment | None:
        """The next segment, if there is one; not the very next one if that has been rotated away too."""
        try:
            return Segment(self._directory, self._segment.number + 1)
        except FileNotFoundError:
            if not self._segment.is_removed():
                return None
        later = [number for number in files.numbers(self._directory) if number > self._segment.number]
        for number in later:
            try:
                return Segment(self._directory, number)
            except FileNotFoundError:
                continue
        return None

    def _enter(self, segment: Segment) -> int:
        """Go on in the next segment; how many bytes are missing between the two."""
        self._segment.close()
        self._segment = segment
        self._current, self._ahead, self._number, self._end = None, [], 0, 0
        self._block = b""
        lost = max(0, segment.base - self.offset)
        self.offset = segment.base
        return lost

    def close(self) -> None:
        """Close the segment."""
        self._segment.close()
