"""From chunks to what a reader wants: lines with the time of their first chunk, or the chunks themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pysup.supervisor.logs.cursor import Chunk
from pysup.supervisor.logs.records import GAP

MAX_LINE = 1 << 20
"""A longer line comes in parts of this size: what is held in memory is bounded."""


class Entry(NamedTuple):
    """A line with its newline, a part of a line, a chunk of bytes, or a gap."""

    time_ns: int
    """When its first byte was copied, in nanoseconds since the epoch."""
    stream: int
    """STDOUT, STDERR, or GAP."""
    data: bytes
    partial: bool = False
    """More of this line follows."""
    lost: int = 0
    """GAP: how many bytes are missing here."""


class Shaper(Protocol):
    """What makes entries of chunks."""

    def feed(self, chunk: Chunk) -> Iterator[Entry]:
        """The entries that this chunk completes."""

    def flush(self) -> Iterator[Entry]:
        """What is left at the end of the log."""


class Skipper:
    """Leaves out the rest of a line that began before the place where reading starts.

    A stream that shows no newline for ``limit`` bytes (a progress bar) is let through after these.
    """

    def __init__(self, open_: int, limit: int) -> None:
        self._left = {stream: limit for stream in (1, 2) if open_ >> stream & 1}

    def pass_on(self, stream: int, data: bytes) -> bytes:
        """What is to be read of the data."""
        left = self._left.get(stream)
        if left is None:
            return data
        newline = data.find(b"\n", 0, left)
        if newline < 0 and len(data) < left:
            self._left[stream] = left - len(data)
            return b""
        del self._left[stream]
        return data[left if newline < 0 else newline + 1 :]

    def forget(self) -> None:
        """After a gap nobody knows where a line began."""
        self._left.clear()


class Chunks:
    """Passes chunks on as they are."""

    def __init__(self, skipper: Skipper) -> None:
        self._skipper = skipper

    def feed(self, chunk: Chunk) -> Iterator[Entry]:
        """The chunk, without the rest of a line that is to be skipped."""
        if chunk.stream == GAP:
            self._skipper.forget()
            yield Entry(chunk.time, GAP, b"", lost=chunk.lost)
        elif data := self._skipper.pass_on(chunk.stream, chunk.data):
            yield Entry(chunk.time, chunk.stream, data)

    def flush(self) -> Iterator[Entry]:
        """Nothing is held back."""
        return iter(())


@dataclass(slots=True)
class _Pending:
    """The beginning of a line whose end has not come."""

    time: int
    data: bytearray = field(default_factory=bytearray)


class Lines:
    """Joins each stream's lines, whatever comes between their chunks; they come in the order of their ends."""

    def __init__(self, skipper: Skipper, max_line: int = MAX_LINE) -> None:
        self._skipper = skipper
        self._max = max_line
        self._pending: dict[int, _Pending] = {}

    def feed(self, chunk: Chunk) -> Iterator[Entry]:
        """The lines that end in this chunk, and the full parts of one that does not."""
        time, stream, data, lost = chunk
        if stream == GAP:
            self._skipper.forget()
            yield from self.flush()
            yield Entry(time, GAP, b"", lost=lost)
            return
        data = self._skipper.pass_on(stream, data)
        if not data:
            return
        *lines, rest = data.split(b"\n")
        if lines and stream in self._pending:
            yield from self._end_pending(stream, lines.pop(0) + b"\n")
        for line in lines:
            if len(line) < self._max:
                yield Entry(time, stream, line + b"\n")
            else:
                self._begin(time, stream)
                yield from self._end_pending(stream, line + b"\n")
        if rest:
            self._begin(time, stream)
            yield from self._add(stream, rest)

    def _begin(self, time: int, stream: int) -> None:
        self._pending.setdefault(stream, _Pending(time))

    def _end_pending(self, stream: int, data: bytes) -> Iterator[Entry]:
        yield from self._add(stream, data)
        pending = self._pending.pop(stream)
        yield Entry(pending.time, stream, bytes(pending.data))

    def _add(self, stream: int, data: bytes) -> Iterator[Entry]:
        """Parts that are full come out; at least one byte stays for the part that ends the line."""
        pending = self._pending[stream]
        pending.data += data
        while len(pending.data) > self._max:
            yield Entry(pending.time, stream, bytes(pending.data[: self._max]), partial=True)
            del pending.data[: self._max]

    def flush(self) -> Iterator[Entry]:
        """Lines without a newline, in the order in which they began."""
        while self._pending:
            stream = next(iter(self._pending))
            pending = self._pending.pop(stream)
            yield Entry(pending.time, stream, bytes(pending.data))


class Dropper:
    """Leaves out the first lines (of all streams together): those before the last N."""

    def __init__(self, shaper: Shaper, count: int) -> None:
        self._shaper = shaper
        self._count = count

    def feed(self, chunk: Chunk) -> Iterator[Entry]:
        """As the shaper it wraps."""
        return self._rest(self._shaper.feed(chunk))

    def flush(self) -> Iterator[Entry]:
        """As the shaper it wraps."""
        return self._rest(self._shaper.flush())

    def _rest(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            if not self._count:
                yield entry
            elif not entry.partial and entry.stream != GAP:
                self._count -= 1
