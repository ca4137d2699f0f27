"""A tar stream, read strictly: what is damaged is an error, never an early end; a header takes bounded memory.

The parsing is tarfile's own. What it would trust a hostile archive with is bounded by the Stream that it reads
from: sizes that lead backwards, and headers (long names, pax records, sparse maps) without end.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, cast

from pysup.supervisor.errors import BadRequest

CHUNK = 1 << 20
"""Bytes that are read and written at once."""
LONGEST_HEADER = 4 << 20
"""Bytes of an entry's headers together: pax records with names and extended attributes, sparse maps."""
MOST_BEHIND = 64 << 20
"""Bytes behind the end of an archive: tar pads to a record, which is 10 KiB, or what it was told."""
DAMAGED = "the archive is damaged or ends too early"


class BadArchive(BadRequest):
    """The archive is damaged, or asks for what is not allowed; the text names the entry."""


def read_rest(source: IO[bytes]) -> None:
    """Read what is behind the end of an archive, which may be part of a digest. Raises BadArchive if it has no end."""
    left = MOST_BEHIND
    while left >= 0 and (found := source.read(CHUNK)):
        left -= len(found)
    if left < 0:
        raise BadArchive(f"cannot read the archive: more than {MOST_BEHIND >> 20} MiB follow its end")


class Stream:
    """What tarfile reads from: forward only.

    Not ``padded``: the archive may end with the last entry's content, as docker's command line ends a context that it
    has added a Dockerfile to (``build -f -``).
    """

    def __init__(self, source: IO[bytes], *, padded: bool = True) -> None:
        self._source = source
        self._padded = padded
        self._position = 0
        self._limit = LONGEST_HEADER
        self._last = b""

    def tell(self) -> int:
        """Bytes read and skipped so far."""
        return self._position

    def seek(self, position: int) -> None:
        """Skip to a place that lies ahead; the next headers begin there. Raises BadArchive, EOFError."""
        if position < self._position:
            raise BadArchive("cannot read the archive: an entry's size leads backwards")
        while self._position < position:
            if self._padded or position - self._position >= tarfile.BLOCKSIZE:
                self.data(min(CHUNK, position - self._position))
            else:
                self._skip_padding(position)
        self._limit = position + LONGEST_HEADER

    def _skip_padding(self, position: int) -> None:
        """All of it, or none: part of it is a damaged archive."""
        begin = self._position
        while self._position < position and (found := self._source.read(position - self._position)):
            self._position += len(found)
        if begin < self._position < position:
            raise EOFError(DAMAGED)
        self._position = position

    def read(self, size: int) -> bytes:
        """Bytes of headers; fewer at the end only. Raises BadArchive if they go on for too long."""
        if size < 0 or self._position + size > self._limit:
            raise BadArchive(
                f"cannot read the archive: an entry's headers take more than {LONGEST_HEADER} bytes"
            )
        self._last = self._source.read(size)
        self._position += len(self._last)
        return self._last

    def ended_at(self, position: int) -> bool:
        """Whether the block there, the last that was read, marks the end: a zero block, or none behind others."""
        if self._position - len(self._last) != position or (position == 0 and not self._last):
            return False
        return not self._last.strip(b"\0") and len(self._last) in {0, tarfile.BLOCKSIZE}

    def data(self, size: int) -> bytes:
        """Up to ``size`` bytes of content, at least one. Raises EOFError at the end."""
        found = self._source.read(size)
        if not found:
            raise EOFError(DAMAGED)
        self._position += len(found)
        return found


class _Members(tarfile.TarFile):
    """tarfile takes a damaged header behind the first one for the end; here it is an error."""

    firstmember: tarfile.TarInfo | None

    def next(self) -> tarfile.TarInfo | None:
        """The next entry; None at the end."""
        cast("Stream", self.fileobj).seek(self.offset)
        try:
            return self.tarinfo.fromtarfile(self)
        except tarfile.HeaderError:
            if cast("Stream", self.fileobj).ended_at(self.offset):
                return None
            raise


def members(stream: Stream) -> Iterator[tarfile.TarInfo]:
    """The entries, one after the other. The content of each can be read from the stream until the next is taken.

    Raises BadArchive.
    """
    try:
        opened = _Members(
            fileobj=cast("IO[bytes]", stream), mode="r", encoding="utf-8", errors="surrogateescape"
        )
        member = opened.firstmember
        while member is not None:
            yield member
            member = opened.next()
    except (tarfile.TarError, RecursionError, ValueError, OverflowError, EOFError) as error:
        raise BadArchive(f"cannot read the archive: {str(error) or DAMAGED}") from error


def extents(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Where the content of a regular file lies in it: (offset, length); what is between is zeros (sparse files)."""
    sparse = getattr(member, "sparse", None)
    return [(0, member.size)] if sparse is None else [extent for extent in sparse if extent[1]]


def content(stream: Stream, member: tarfile.TarInfo) -> Iterator[bytes]:
    """The content of a regular file that is not sparse."""
    left = member.size
    while left > 0:
        data = stream.data(min(CHUNK, left))
        yield data
        left -= len(data)


def write_extents(
    stream: Stream, member: tarfile.TarInfo, fd: int, count: Callable[[int], None] | None = None
) -> None:
    """The content of a sparse file, with its holes. ``count`` is told the bytes of each extent; it may refuse them."""
    os.ftruncate(fd, member.size)
    stream.seek(member.offset_data)
    for offset, length in extents(member):
        os.lseek(fd, offset, os.SEEK_SET)
        left = length
        while left > 0:
            data = stream.data(min(left, CHUNK))
            write_all(fd, data)
            left -= len(data)
        if count is not None:
            count(length)


def write_all(fd: int, data: bytes) -> None:
    """write(2) may write less than it is given."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
