"""Logs for tests: written chunk by chunk with a clock that the test holds, and a simple model of reading them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pysup.supervisor.logs import files, places
from pysup.supervisor.logs.lines import Entry
from pysup.supervisor.logs.writer import LogWriter


class Piece(NamedTuple):
    """A chunk to be written, this long after the one before."""

    stream: int
    data: bytes
    after: int = 1


class Clock:
    """A time that only the test moves."""

    def __init__(self, now: int = 1000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def write_log(
    directory: Path, pieces: Iterable[Piece], *, max_size: int = 1 << 30, max_files: int = 1000
) -> None:
    """A closed log with these chunks; every chunk has its own record, and larger ones rotate."""
    clock = Clock()
    writer = LogWriter.open(str(directory), max_size=max_size, max_files=max_files, clock=clock)
    for piece in pieces:
        clock.now += piece.after
        writer.write(piece.stream, piece.data)
    writer.close()


def lines_of(pieces: Iterable[Piece], streams: frozenset[int] = frozenset({1, 2})) -> list[Entry]:
    """All lines, in the order of their ends, with the time of their first byte: byte by byte, slow and plain."""
    now, done = 1000, []
    begun: dict[int, tuple[int, bytes]] = {}
    for piece in pieces:
        now += piece.after
        for byte in piece.data if piece.stream in streams else b"":
            time, text = begun.pop(piece.stream, (now, b""))
            begun[piece.stream] = (time, text + bytes([byte]))
            if byte == ord("\n"):
                time, text = begun.pop(piece.stream)
                done.append(Entry(time, piece.stream, text))
    # popping and setting again would move a stream to the end of the dict: order by the time of the begin
    rest = [Entry(time, stream, text) for stream, (time, text) in begun.items()]
    return done + sorted(rest, key=lambda entry: entry.time_ns)


def bytes_of(entries: Iterable[Entry]) -> dict[int, bytes]:
    """What each stream has in all."""
    found: dict[int, bytes] = {}
    for entry in entries:
        found[entry.stream] = found.get(entry.stream, b"") + entry.data
    return found


def span(directory: str) -> tuple[int, int]:
    """The logical offsets of the first byte that is kept, and of the end: what was before was rotated away."""
    try:
        fd = files.open_directory(directory)
    except FileNotFoundError:
        return 0, 0
    try:
        start, end = places.oldest(fd), places.newest(fd)
    finally:
        os.close(fd)
    return (0, 0) if start is None or end is None else (start.offset, end.offset)
