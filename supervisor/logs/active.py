"""The segment that is being written: its two files, and where the next chunk and the next record go."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from pysup.supervisor.logs import files
from pysup.supervisor.logs.records import GAP, SIZE, Header, Record, open_after


@dataclass(slots=True)
class ActiveSegment:
    """One writer's; whoever reads opens the files anew."""

    number: int
    base: int
    log: int
    """Descriptor, not O_APPEND: splice(2) refuses that, and the offset is known."""
    index: int
    size: int = 0
    count: int = 0
    last: Record | None = None

    @property
    def end(self) -> int:
        """The logical offset of the next byte."""
        return self.base + self.size

    @property
    def index_size(self) -> int:
        """Bytes of the index."""
        return (1 + self.count) * SIZE

    def put(self, record: Record) -> None:
        """Write a record; it replaces one whose chunk never came. Raises OSError, and then may be repeated."""
        place = self.count - 1 if self._awaits_chunk() else self.count
        write_whole(self.index, record.pack(), (1 + place) * SIZE)
        self.count, self.last = place + 1, record

    def _awaits_chunk(self) -> bool:
        return self.last is not None and self.last.kind != GAP and self.last.offset == self.end

    def splice(self, pipe: int, limit: int) -> int:
        """Move at most ``limit`` bytes from a pipe; how many. 0: end of file; BlockingIOError: it is empty."""
        moved = os.splice(pipe, self.log, limit, offset_dst=self.size, flags=os.SPLICE_F_NONBLOCK)
        self.size += moved
        return moved

    def write(self, data: bytes) -> int:
        """Write bytes from memory; how many were."""
        written = os.pwrite(self.log, data, self.size)
        self.size += written
        return written

    def open_streams(self) -> int:
        """The bits of Record.open as they are at the end: the last chunk's stream by its last byte."""
        if self.last is None:
            return 0
        has_chunk = self.last.offset < self.end
        return open_after(self.last, os.pread(self.log, 1, self.size - 1) if has_chunk else b"")

    def close(self) -> None:
        """Close both files."""
        os.close(self.log)
        os.close(self.index)


def write_whole(index: int, data: bytes, offset: int) -> None:
    """Write a header or record; half of one is none. Raises OSError."""
    if os.pwrite(index, data, offset) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def create(directory: int, number: int, base: int, now: int) -> ActiveSegment:
    """Begin a segment. The index comes first, whole, so that no log is ever without one."""
    index = files.open_file(directory, files.index_name(number), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        write_whole(index, Header(base, now).pack(), 0)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        log = files.open_file(directory, files.log_name(number), flags)
    except BaseException:
        os.close(index)
        raise
    return ActiveSegment(number, base, log, index)
