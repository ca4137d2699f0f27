"""Open the newest segment as a crash left it, and mend its index.

The bytes are the truth: nothing here shortens a log file. What may be wrong is the end of the index: a torn
record, a record of a chunk that never came to the disk (after a power cut), or no index at all. Bytes beyond
the last sound record belong to it.
"""

from __future__ import annotations

import contextlib
import os

from pysup.supervisor.logs import files
from pysup.supervisor.logs.active import ActiveSegment, create, write_whole
from pysup.supervisor.logs.records import SIZE, STDOUT, Header, Record, unpack_header, unpack_record


def open_newest(directory: int, now: int) -> ActiveSegment:
    """The newest segment, ready to be written to; the first one of a new log."""
    numbers = files.without_orphans(directory)
    if not numbers:
        return create(directory, 1, 0, now)
    with contextlib.ExitStack() as undo:
        log = files.open_file(directory, files.log_name(numbers[-1]), os.O_RDWR)
        undo.callback(os.close, log)
        index = files.open_file(directory, files.index_name(numbers[-1]), os.O_RDWR | os.O_CREAT)
        undo.callback(os.close, index)
        segment = _mended(directory, numbers, log, index)
        undo.pop_all()
    return segment


def _mended(directory: int, numbers: list[int], log: int, index: int) -> ActiveSegment:
    size = os.fstat(log).st_size
    header = unpack_header(os.pread(index, SIZE, 0))
    if header is None:
        header = Header(_end_of_previous(directory, numbers), os.fstat(log).st_mtime_ns)
        os.ftruncate(index, 0)
        write_whole(index, header.pack(), 0)
    segment = ActiveSegment(numbers[-1], header.base, log, index, size)
    _take_last_record(segment)
    if segment.last is None and size:
        segment.put(Record(header.base, os.fstat(log).st_mtime_ns, 0, STDOUT, 0))
    return segment


def _take_last_record(segment: ActiveSegment) -> None:
    """Go back over what is torn or lies beyond the log's end, and cut it off."""
    found = os.fstat(segment.index).st_size
    segment.count = max(0, found // SIZE - 1)
    while segment.count:
        record = unpack_record(os.pread(segment.index, SIZE, segment.count * SIZE))
        if record is not None and segment.base <= record.offset <= segment.end:
            segment.last = record
            break
        segment.count -= 1
    if found != segment.index_size:
        os.ftruncate(segment.index, segment.index_size)


def _end_of_previous(directory: int, numbers: list[int]) -> int:
    """Where a segment begins whose header is lost: at the end of the one before it; 0 if that is unknown."""
    if len(numbers) == 1:
        return 0
    before = numbers[-2]
    try:
        fd = files.open_file(directory, files.index_name(before), os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        header = unpack_header(os.pread(fd, SIZE, 0))
    finally:
        os.close(fd)
    size = os.stat(files.log_name(before), dir_fd=directory, follow_symlinks=False).st_size
    return 0 if header is None else header.base + size
