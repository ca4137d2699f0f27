"""The one writer of a container's log: copies chunks, numbers them in the index, and rotates.

Several streams append to one writer, from one thread. Its calls never wait; a full disk is an OSError that
leaves the chunk in its pipe (pump.py tries again).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from pysup.supervisor.logs import files
from pysup.supervisor.logs.active import ActiveSegment, create
from pysup.supervisor.logs.budget import Budget
from pysup.supervisor.logs.feed import Feed
from pysup.supervisor.logs.records import GAP, SIZE, Record
from pysup.supervisor.logs.recovery import open_newest

UNLIMITED = 1 << 62
MAX_SIZE = 16 << 20
MAX_FILES = 4
CHUNK = 1 << 20
"""The most that one call moves: what the largest pipe holds, a millisecond's work."""
LEAST_ROOM = 4 << 10
"""A segment with less room than this ends early, and not in tiny chunks."""

_NONE = -1
"""The descriptor of what has not been made."""

_NOTHING = _NONE, ActiveSegment(1, 0, _NONE, _NONE)
"""What there is of a log that has not begun: nobody writes to it."""

Report = Callable[[OSError | None], None]
"""Called with the error when the disk begins to refuse what is written, with None when it takes it again."""


class LogWriter:
    """Appends to the newest segment of a log directory."""

    def __init__(
        self,
        directory: int,
        segment: ActiveSegment,
        *,
        max_size: int,
        max_files: int,
        on_blocked: Report | None,
        clock: Callable[[], int],
        path: str,
        budget: Budget,
    ) -> None:
        self.feed = Feed(segment.end)
        self._directory = directory
        self._segment = segment
        self._max_size = max_size
        self._max_files = max_files
        self._on_blocked = on_blocked
        self._clock = clock
        self._lost = 0
        self._blocked = False
        self._path = path
        self._budget = budget
        self._go_on()
        budget.opened(path, self)

    @classmethod
    def open(
        cls,
        directory: str,
        *,
        max_size: int = MAX_SIZE,
        max_files: int = MAX_FILES,
        on_blocked: Report | None = None,
        clock: Callable[[], int] = time.time_ns,
        budget: Budget | None = None,
        patient: bool = False,
    ) -> LogWriter:
        """Go on with a log as it was left, by a crash too. One that has not begun is begun when it is needed.

        Log and index of a segment have at most ``max_size`` bytes together; the oldest of more than ``max_files``
        segments is removed. ``budget``: that of all logs together. Raises OSError; if ``patient``, what cannot be
        opened is tried again for the first byte, as if it had not begun.
        """
        return cls(
            *_found(directory, clock(), patient=patient),
            max_size=max_size,
            max_files=max(1, max_files),
            on_blocked=on_blocked,
            clock=clock,
            path=directory,
            budget=budget or Budget(UNLIMITED),
        )

    @property
    def has_begun(self) -> bool:
        """Whether there are files."""
        return self._directory != _NONE

    def begin(self) -> None:
        """Make the log's directory and its first files, unless they are there: for who is to read it. Raises OSError.

        Much of what runs has nothing to say, and three files cost as much as a commit.
        """
        if self.has_begun:
            return
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._path, 0o700)
        self._directory, self._segment = _opened(self._path, self._clock())
        self._go_on()

    def _go_on(self) -> None:
        """Where the log ends as it was found."""
        segment = self._segment
        self._time = segment.last.time if segment.last else 0
        self._open = segment.open_streams()
        self.feed.offset = segment.end

    @property
    def offset(self) -> int:
        """The logical end: how many bytes this container has ever written, those rotated away too."""
        return self._segment.end

    def splice(self, pipe: int, stream: int) -> int:
        """Move one chunk from a pipe to the log; its size, 0 at the end of file.

        Raises BlockingIOError if the pipe is empty, OSError if the disk refuses: then the bytes are still in
        the pipe.
        """
        room = self._prepare(stream)
        moved = self._segment.splice(pipe, room)
        if moved:
            self._grew(moved)
        return moved

    def write(self, stream: int, data: bytes) -> None:
        """Append bytes from memory as chunks. Raises OSError; what was written before stays."""
        while data:
            room = self._prepare(stream)
            written = self._segment.write(data[:room])
            data = data[written:]
            self._grew(written)

    def gap(self, count: int) -> None:
        """Record that ``count`` bytes were lost here; later, if the disk does not take it now."""
        self._lost += count
        with contextlib.suppress(OSError):
            if self._lost:
                self.begin()
                self._record_lost()
                self.feed.poke()

    def refused(self, error: OSError) -> None:
        """The disk did not take a chunk: reported once, until it takes one again."""
        if not self._blocked and self._on_blocked is not None:
            self._on_blocked(error)
        self._blocked = True

    def close(self) -> None:
        """End of the log for those who follow it. The writer must not be used afterwards."""
        if not self.feed.closed:
            self.gap(0)
            self._budget.closed(self._path)
            self.feed.close()
            if self.has_begun:
                self._segment.close()
                os.close(self._directory)

    def _prepare(self, stream: int) -> int:
        """Write the record of the next chunk; how large that may be."""
        self.begin()
        if self._room() < min(LEAST_ROOM, self._max_size // 8) and self._segment.size:
            self._rotate()
        if self._lost:
            self._record_lost()
        self._segment.put(Record(self.offset, self._now(), 0, stream, self._open))
        return min(CHUNK, max(SIZE, self._room() + SIZE))

    def _room(self) -> int:
        """Bytes that fit into the segment behind one more record."""
        return self._max_size - self._segment.size - self._segment.index_size - SIZE

    def retire(self, number: int) -> bool:
        """End the segment of this number, so that it can be removed. Raises OSError."""
        if self._segment.number != number or not self._segment.size:
            return False
        self._rotate()
        return True

    def _record_lost(self) -> None:
        self._segment.put(Record(self.offset, self._now(), self._lost, GAP, self._open))
        self._lost = self._open = 0

    def _now(self) -> int:
        """Never before the last record, so that the index can be searched by time; clocks are set back."""
        self._time = max(self._time, self._clock())
        return self._time

    def _grew(self, count: int) -> None:
        self._budget.grew(count + SIZE)
        self._open = self._segment.open_streams()
        self.feed.grew(self.offset)
        if self._blocked:
            self._blocked = False
            if self._on_blocked is not None:
                self._on_blocked(None)

    def _rotate(self) -> None:
        """Begin the next segment; no file is renamed, so readers just go on to it.

        What is too old goes first, since on a full disk that makes the room; the segment that is being
        written (``max_files`` 1) only when there is another.
        """
        old, number = self._segment, self._segment.number + 1
        self._remove_until(min(number - self._max_files, old.number - 1))
        self._segment = create(self._directory, number, self.offset, self._now())
        self._budget.grew(self._segment.index_size)
        old.close()
        self._remove_until(number - self._max_files)

    def _remove_until(self, last: int) -> None:
        for number in files.numbers(self._directory):
            if number <= last:
                files.unlink_segment(self._directory, number)


def _found(directory: str, now: int, *, patient: bool) -> tuple[int, ActiveSegment]:
    """What an earlier writer left, if it had begun."""
    try:
        return _opened(directory, now) if _has_begun(directory) else _NOTHING
    except OSError:
        if patient:
            return _NOTHING
        raise


def _has_begun(directory: str) -> bool:
    """Whether there is a segment: where the disk was full, there may be a directory without one."""
    try:
        fd = files.open_directory(directory)
    except FileNotFoundError:
        return False
    try:
        return bool(files.numbers(fd))
    finally:
        os.close(fd)


def _opened(directory: str, now: int) -> tuple[int, ActiveSegment]:
    fd = files.open_directory(directory)
    try:
        return fd, open_newest(fd, now)
    except BaseException:
        os.close(fd)
        raise
