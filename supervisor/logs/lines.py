"""From chunks to what a reader wants: lines with the time of their first chunk, or the chunks themselves."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pysup.supervisor.logs.cursor import Chunk
from pysup.supervisor.logs.records import GAP

MAX_LINE = 1 << 20
"""A longer line comes in parts of this size: what is held in memory is bounded."""


class Mark(NamedTuple):
    """Where reading can be taken up again: behind the first ``skip`` entries that come from ``offset`` on."""

    offset: int
    skip: int = 0
    open: int = 0
    """As Record.open: the lines that are to be left out because they began before ``offset``."""


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
    mark: Mark | None = None
    """The place behind this entry, where the query asked for marks."""


class Shaper(Protocol):
    """What makes entries of chunks."""

    @property
    def idle(self) -> bool:
        """Whether nothing is held back, so that a new shaper would go on in the same way."""

    def feed(self, chunk: Chunk) -> list[Entry]:
        """The entries that this chunk completes."""

    def flush(self) -> list[Entry]:
        """What is left at the end of the log."""


class Skipper:
    """Leaves out the rest of a line that began before the place where reading starts.

    A stream that shows no newline for ``limit`` bytes (a progress bar) is let through after these.
    """

    def __init__(self, open_: int, limit: int) -> None:
        self._left = {stream: limit for stream in (1, 2) if open_ >> stream & 1}

    @property
    def idle(self) -> bool:
        """Whether nothing is left to be left out."""
        return not self._left

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

    @property
    def idle(self) -> bool:
        """As Shaper."""
        return self._skipper.idle

    def feed(self, chunk: Chunk) -> list[Entry]:
        """The chunk, without the rest of a line that is to be skipped."""
        if chunk.stream == GAP:
            self._skipper.forget()
            return [_gap(chunk)]
        data = self._skipper.pass_on(chunk.stream, chunk.data)
        return [Entry(chunk.time, chunk.stream, data)] if data else []

    def flush(self) -> list[Entry]:
        """Nothing is held back."""
        return []


class _Pending(NamedTuple):
    """The beginning of a line whose end has not come."""

    time: int
    data: bytearray


class Lines:
    """Joins each stream's lines, whatever comes between their chunks; they come in the order of their ends."""

    def __init__(self, skipper: Skipper, max_line: int = MAX_LINE) -> None:
        self._skipper = skipper
        self._max = max_line
        self._pending: dict[int, _Pending] = {}

    @property
    def idle(self) -> bool:
        """As Shaper."""
        return not self._pending and self._skipper.idle

    def feed(self, chunk: Chunk) -> list[Entry]:
        """The lines that end in this chunk, and the full parts of one that does not."""
        time, stream, data, _ = chunk
        if stream == GAP:
            self._skipper.forget()
            return [*self.flush(), _gap(chunk)]
        *ended, rest = self._skipper.pass_on(stream, data).split(b"\n")
        entries = []
        if ended and stream in self._pending:
            entries = self._join(time, stream, ended.pop(0) + b"\n")
        for line in ended:
            if len(line) < self._max:
                entries.append(Entry(time, stream, line + b"\n"))
            else:
                entries += self._join(time, stream, line + b"\n")
        if rest:
            entries += self._add(time, stream, rest)
        return entries

    def _join(self, time: int, stream: int, data: bytes) -> list[Entry]:
        """A line's last bytes."""
        parts = self._add(time, stream, data)
        pending = self._pending.pop(stream)
        return [*parts, Entry(pending.time, stream, bytes(pending.data))]

    def _add(self, time: int, stream: int, data: bytes) -> list[Entry]:
        """Parts that are full come out; at least one byte stays for the part that ends the line."""
        pending = self._pending.setdefault(stream, _Pending(time, bytearray()))
        pending.data.extend(data)
        parts = []
        while len(pending.data) > self._max:
            parts.append(Entry(pending.time, stream, bytes(pending.data[: self._max]), partial=True))
            del pending.data[: self._max]
        return parts

    def flush(self) -> list[Entry]:
        """Lines without a newline, in the order in which they began."""
        rest = [Entry(time, stream, bytes(data)) for stream, (time, data) in self._pending.items()]
        self._pending.clear()
        return rest


def _gap(chunk: Chunk) -> Entry:
    return Entry(chunk.time, GAP, b"", lost=chunk.lost)


class Dropper:
    """Leaves out the first lines (of all streams together): those before the last N."""

    def __init__(self, shaper: Shaper, count: int) -> None:
        self._shaper = shaper
        self._count = count

    @property
    def idle(self) -> bool:
        """As Shaper."""
        return not self._count and self._shaper.idle

    def feed(self, chunk: Chunk) -> list[Entry]:
        """As the shaper it wraps."""
        return self._rest(self._shaper.feed(chunk))

    def flush(self) -> list[Entry]:
        """As the shaper it wraps."""
        return self._rest(self._shaper.flush())

    def _rest(self, entries: list[Entry]) -> list[Entry]:
        for number, entry in enumerate(entries):
            if not self._count:
                return entries[number:]
            if not entry.partial and entry.stream != GAP:
                self._count -= 1
        return []
