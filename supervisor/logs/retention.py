"""Keeps the logs of all containers together within a bound: the oldest segments go, whosever they are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pysup.supervisor.logs import files
from pysup.supervisor.logs.budget import Budget


class Stored(NamedTuple):
    """A segment on disk."""

    directory: str
    number: int
    size: int
    """Bytes of log and index."""
    written: int
    """When it was last written to: nanoseconds since the epoch."""


class Usage(NamedTuple):
    """What a container's log takes."""

    bytes: int
    segments: int


def choose(segments: Iterable[Stored], cap: int) -> list[Stored]:
    """Which segments to remove so that the rest is at most ``cap`` bytes: the oldest first.

    The newest segment of a container stays, so the rest may be larger than the cap. A container's segments go in
    their order, whatever the times of its files say: no hole is made in a log.
    """
    found = sorted(segments, key=lambda segment: (segment.directory, segment.number))
    excess = size(found) - cap
    chosen = []
    for segment in sorted(_expendable(found), key=lambda segment: segment.written):
        if excess <= 0:
            break
        excess -= segment.size
        chosen.append(segment)
    return chosen


def size(segments: Iterable[Stored]) -> int:
    """Bytes of all of them."""
    return sum(segment.size for segment in segments)


def retire(segments: Iterable[Stored], excess: int, budget: Budget) -> list[Stored]:
    """Where even the newest segments are too much: those that were written longest ago end, and are to go, too.

    Call it in the event loop (Budget.retire).
    """
    chosen = []
    for segment in sorted(segments, key=lambda segment: segment.written):
        if excess <= 0:
            break
        with contextlib.suppress(OSError):
            if budget.retire(segment.directory, segment.number):
                excess -= segment.size
                chosen.append(segment)
    return chosen


def _expendable(found: list[Stored]) -> Iterator[Stored]:
    """All but each container's newest; none later than the one after it in the same log."""
    newest = {segment.directory: segment for segment in found}
    latest: dict[str, int] = {}
    for segment in found:
        if newest[segment.directory] is not segment:
            written = max(segment.written, latest.get(segment.directory, 0))
            latest[segment.directory] = written
            yield segment._replace(written=written)


def remove(segments: Iterable[Stored]) -> int:
    """Remove segments that are not the newest; the bytes that this gave back. Blocking: call it in a thread.

    Writers and readers of these logs need not know. Raises OSError.
    """
    return sum(_remove(segment) for segment in segments)


def usage(directory: str) -> Usage:
    """What one container's log takes on disk."""
    found = stored(directory)
    return Usage(size(found), len(found))


def stored(directory: str) -> list[Stored]:
    """The segments of a log directory; none if it does not exist, or somebody has put something else in its place.

    The others are to be trimmed all the same.
    """
    try:
        fd = files.open_directory(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        return [found for number in files.numbers(fd) if (found := _stored(fd, directory, number))]
    finally:
        os.close(fd)


def _stored(fd: int, directory: str, number: int) -> Stored | None:
    try:
        log = os.stat(files.log_name(number), dir_fd=fd, follow_symlinks=False)
        index = os.stat(files.index_name(number), dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Stored(directory, number, log.st_size + index.st_size, log.st_mtime_ns)


def _remove(segment: Stored) -> int:
    try:
        fd = files.open_directory(segment.directory)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    try:
        return files.unlink_segment(fd, segment.number)
    finally:
        os.close(fd)
