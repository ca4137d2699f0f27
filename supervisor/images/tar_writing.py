"""Writing a tar stream (pax, POSIX.1-2001) piece by piece: names as bytes, numeric owners, attributes, holes.

What is not known beforehand is read from descriptors: a file that became shorter meanwhile is filled up with zeros.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping

XATTR = "SCHILY.xattr."
"""What the record of an extended attribute begins with, as star, GNU tar and docker have it."""
_BLOCK = tarfile.BLOCKSIZE
_PIECE = 1 << 20
_SECOND = 10**9
_WORTH_A_MAP = 1 << 20
"""Bytes of holes from which on a file is written as a sparse one."""
_MOST_EXTENTS = 4096
_NAMELESS = "GNUSparseFile.0"
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}

Extent = tuple[int, int]
"""(offset, length) of data in a file; between them are holes."""


def entry_of(name: str, status: os.stat_result, owner: tuple[int, int] | None = None) -> tarfile.TarInfo:
    """The header of a file as it is. Times are whole seconds, as in the layers of other engines.

    Raises ValueError for a socket, which no archive can hold.
    """
    kind = _TYPES.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise ValueError("a socket cannot be archived")
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = stat.S_IMODE(status.st_mode)
    entry.uid, entry.gid = owner or (status.st_uid, status.st_gid)
    entry.mtime = status.st_mtime_ns // _SECOND
    if kind == tarfile.REGTYPE:
        entry.size = status.st_size
    elif kind in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
        entry.devmajor, entry.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return entry


def add_attributes(entry: tarfile.TarInfo, attributes: Mapping[str, bytes]) -> None:
    """Extended attributes of a file. One with ``=`` in its name has no place in a pax record, and is left out."""
    entry.pax_headers = {
        XATTR + name: value.decode("utf-8", "surrogateescape")
        for name, value in attributes.items()
        if "=" not in name
    }


class TarWriter:
    """``write`` takes the archive, piece by piece."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def add(self, entry: tarfile.TarInfo, content: int | None = None) -> None:
        """One entry; ``content`` is the descriptor of a regular file that is not empty. Raises OSError."""
        if content is None or not entry.isreg():
            self._header(entry)
            return
        extents = _extents(content, entry.size)
        if extents is None:
            self._header(entry)
            self._copy(content, [(0, entry.size)])
        else:
            self._header(_sparse(entry, extents))
            self._write(_map(extents))
            self._copy(content, extents)

    def finish(self) -> None:
        """The end of the archive."""
        self._write(bytes(2 * _BLOCK))

    def _header(self, entry: tarfile.TarInfo) -> None:
        self._write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def _copy(self, content: int, extents: list[Extent]) -> None:
        total = 0
        for offset, length in extents:
            for piece in _pieces(content, offset, length):
                self._write(piece)
            total += length
        self._write(_padding(total))


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _pieces(fd: int, offset: int, length: int) -> Iterator[bytes]:
    """Exactly as many bytes as were announced."""
    while length > 0:
        data = os.pread(fd, min(length, _PIECE), offset) or bytes(min(length, _PIECE))
        yield data
        offset += len(data)
        length -= len(data)


# -- holes ---------------------------------------------------------------------------------------------------


def _extents(fd: int, size: int) -> list[Extent] | None:
    """Where data is; None if there are no holes worth speaking of."""
    if os.fstat(fd).st_blocks * 512 + _WORTH_A_MAP > size:
        return None
    from pysup.supervisor.kernel.files import data_of  # noqa: PLC0415 - pysup cp needs the rest on any platform

    found = list(data_of(fd, size))
    gap = _BLOCK
    while len(found) > _MOST_EXTENTS:
        gap *= 8
        found = _joined(found, gap)
    return found if size - sum(length for _, length in found) >= _WORTH_A_MAP else None


def _joined(extents: list[Extent], gap: int) -> list[Extent]:
    """Fewer of them: holes of less than ``gap`` bytes become data."""
    joined = extents[:1]
    for offset, length in extents[1:]:
        begin, before = joined[-1]
        if offset - begin - before < gap:
            joined[-1] = begin, offset + length - begin
        else:
            joined.append((offset, length))
    return joined


def _sparse(entry: tarfile.TarInfo, extents: list[Extent]) -> tarfile.TarInfo:
    """The header of a sparse file in GNU's pax format 1.0 (info tar, "PAX 1"), which Go and Python read, too."""
    sparse = tarfile.TarInfo(f"{_NAMELESS}/{os.path.basename(entry.name)}")
    sparse.mode, sparse.uid, sparse.gid, sparse.mtime = entry.mode, entry.uid, entry.gid, entry.mtime
    sparse.size = len(_map(extents)) + sum(length for _, length in extents)
    sparse.pax_headers = {
        **entry.pax_headers,
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": entry.name,
        "GNU.sparse.realsize": str(entry.size),
    }
    return sparse


def _map(extents: list[Extent]) -> bytes:
    """Their number, then offset and length of each, in decimal, filled up to a block."""
    numbers = [len(extents), *(number for extent in extents for number in extent)]
    text = "".join(f"{number}\n" for number in numbers).encode()
    return text + _padding(len(text))
