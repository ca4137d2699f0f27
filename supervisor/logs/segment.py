"""One segment as a reader sees it, also while the writer appends to it."""

from __future__ import annotations

import bisect
import os

from pysup.supervisor.logs import files
from pysup.supervisor.logs.records import GAP, SIZE, STDOUT, Header, Record, unpack_header, unpack_records

BLOCK = 2048
"""Records that are read at once: 64 KiB."""


class Segment:
    """A context manager: its descriptors keep the bytes readable after rotation has removed the files."""

    def __init__(self, directory: int, number: int) -> None:
        """Open the files. Raises FileNotFoundError if the segment was rotated away."""
        self.number = number
        self._log = files.open_file(directory, files.log_name(number), os.O_RDONLY)
        try:
            self._index: int | None = files.open_file(directory, files.index_name(number), os.O_RDONLY)
        except FileNotFoundError:
            self._index = None
        header = self._header()
        self._indexed = header is not None
        self.base = header.base if header else self._guess_base(directory)

    def _guess_base(self, directory: int) -> int:
        """Without a header: so that the segment ends where the next one begins."""
        try:
            with Segment(directory, self.number + 1) as following:
                return max(0, following.base - os.fstat(self._log).st_size)
        except FileNotFoundError:
            return 0

    def _header(self) -> Header | None:
        return None if self._index is None else unpack_header(os.pread(self._index, SIZE, 0))

    def end(self) -> int:
        """The logical offset behind the last byte.

        Ask for this before the records: then those of all bytes before it are there, since a record is
        written before its bytes.
        """
        return self.base + os.fstat(self._log).st_size

    def count(self) -> int:
        """How many records there are."""
        size = os.fstat(self._log).st_size
        found = 0 if self._index is None else max(0, os.fstat(self._index).st_size // SIZE - 1)
        return found if self._indexed and found else min(size, 1)

    def records(self, first: int, count: int) -> list[Record]:
        """Some records by number, fewer at the end; bytes whose index is lost are one chunk of stdout."""
        log = os.fstat(self._log)
        found = []
        if self._index is not None and self._indexed:
            found = unpack_records(os.pread(self._index, count * SIZE, (1 + first) * SIZE))
        if found or first or not log.st_size:
            return found
        return [Record(self.base, log.st_mtime_ns, 0, STDOUT, 0)]

    def settled(self, first: int, end: int, count: int = BLOCK) -> list[Record]:
        """Records by number that can no longer change: all but one that waits for its chunk, at ``end``."""
        found = self.records(first, count)
        while found and found[-1].offset + (found[-1].kind != GAP) > end:
            found.pop()
        return found

    def first_at(self, time: int) -> int:
        """The number of the first record that is not before ``time``; count() if there is none."""
        return bisect.bisect_left(range(self.count()), time, key=lambda number: self._record(number).time)

    def holding(self, offset: int) -> int:
        """The number of the record whose chunk has the byte at ``offset``."""
        count = self.count()
        at = bisect.bisect_right(range(count), offset, key=lambda number: self._record(number).offset)
        return max(0, at - 1)

    def _record(self, number: int) -> Record:
        return self.records(number, 1)[0]

    def is_removed(self) -> bool:
        """Tell whether rotation has removed the files."""
        return os.fstat(self._log).st_nlink == 0

    def within(self, offset: int) -> int:
        """The offset, or the nearest one of this segment: records are read unchecked, and may be damaged."""
        return min(max(offset, self.base), self.end())

    def read(self, start: int, end: int) -> bytes:
        """Bytes by logical offset, which is within() the segment."""
        return os.pread(self._log, end - start, start - self.base)

    def close(self) -> None:
        """Close the files."""
        os.close(self._log)
        if self._index is not None:
            os.close(self._index)

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
