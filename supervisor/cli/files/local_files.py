"""This machine's end of ``pysup cp``: what a path is, a tree as an archive, an archive as a tree.

An archive from a container is not trusted: nothing is made outside of the directory, nothing gets the set-id bits,
capabilities or devices that it asks for, and all of it belongs to whoever runs the command, unless root asks for the
owners in the archive.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from pysup.supervisor.cli.files.copy_names import Place, Target, followed, kept_end, split
from pysup.supervisor.cli.files.walking import READ, Found, shown, unless_gone, walk
from pysup.supervisor.errors import PysupError
from pysup.supervisor.images.tar_writing import entry_of

_PIECE = 256 << 10
_BLOCK = tarfile.BLOCKSIZE
_MOST_LINKS = 10


def resolved(path: str) -> str:
    """An absolute path that keeps its end."""
    return kept_end(os.path.abspath(path), path)


# -- the places ----------------------------------------------------------------------------------------------


def source(path: str, *, follow: bool) -> Place:
    """What is to be copied. Raises PysupError if it is not there."""
    try:
        if follow:
            place = followed(path, os.path.realpath(path, strict=True))
        else:
            above, name = os.path.split(path)
            real = os.path.join(os.path.realpath(above, strict=True), name)
            place = Place(kept_end(real, path))
        is_directory = stat.S_ISDIR(os.lstat(place.path).st_mode)
    except OSError as error:
        raise PysupError(f"cannot copy {path}: {error.strerror}") from None
    return place._replace(exists=True, is_directory=is_directory)


def destination(path: str) -> Place:
    """Where to copy to; links are followed, also one that leads to nothing yet. Raises PysupError."""
    above = os.path.dirname(os.path.normpath(path))
    if above and not os.path.isdir(above):
        raise PysupError(f"cannot copy: invalid output path: directory {above!r} does not exist")
    for _ in range(_MOST_LINKS):
        if not os.path.islink(path.rstrip("/") or "/"):
            return _found(path)
        target = os.readlink(path.rstrip("/"))
        path = target if os.path.isabs(target) else os.path.join(split(path)[0], target)
    raise PysupError(f"cannot copy to {path}: too many symbolic links")


def _found(path: str) -> Place:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not os.path.isdir(split(path)[0]):
            raise PysupError(f"cannot copy to {path}: there is no directory to put it in") from None
        return Place(path)
    except OSError as error:
        raise PysupError(f"cannot copy to {path}: {error.strerror}") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise PysupError(f"cannot copy: invalid output path: {path!r} must be a directory or a regular file")
    return Place(path, exists=True, is_directory=stat.S_ISDIR(mode))


# -- out of here ---------------------------------------------------------------------------------------------


def archive(place: Place, target: Target) -> Iterator[bytes]:
    """The tree at a place as a tar stream, piece by piece. Raises PysupError for what cannot be read."""
    above, name = split(place.path)
    top = os.path.join(above, name)
    links: dict[tuple[int, int], str] = {}
    at = top
    try:
        for found, called in _tree(top, name):
            at = os.path.join(top, found.path) if found.path else top
            yield from unless_gone(found, _pieces(found, target.renamed(called), links))
    except OSError as error:
        raise PysupError(f"cannot copy {shown(at)}: {error.strerror}") from None
    yield bytes(2 * _BLOCK)


def _tree(top: str, called: str) -> Iterator[tuple[Found, str]]:
    itself = Found("", top, None, os.lstat(top))
    yield itself, called
    if itself.is_directory:
        for found in walk(top):
            yield found, f"{called.rstrip('/')}/{found.path}"


def _pieces(found: Found, called: str, links: dict[tuple[int, int], str]) -> Iterator[bytes]:
    status = found.status
    if stat.S_ISSOCK(status.st_mode):
        return
    entry = entry_of(called, status)
    inode = status.st_dev, status.st_ino
    if inode in links:
        entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, links[inode], 0
    elif entry.issym():
        entry.linkname = found.link_target()
    if entry.isreg():
        yield from _regular(found, entry)
    else:
        yield _head(entry)
    if status.st_nlink > 1 and not entry.isdir():  # of the others the number may soon be another file's
        links.setdefault(inode, called)


def _head(entry: tarfile.TarInfo) -> bytes:
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _regular(found: Found, entry: tarfile.TarInfo) -> Iterator[bytes]:
    """As much as was announced, whatever becomes of the file meanwhile."""
    left = entry.size
    with open(found.open(READ), "rb", buffering=0) as file:
        yield _head(entry)
        while left > 0:
            data = file.read(min(left, _PIECE)) or bytes(min(left, _PIECE))
            left -= len(data)
            yield data
    yield bytes(-entry.size % _BLOCK)


# -- to here -------------------------------------------------------------------------------------------------


def unpack(pieces: Iterator[bytes], target: Target, *, keeps_owners: bool = False) -> None:
    """Unpack an archive; ``keeps_owners``: what root unpacks belongs to the numbers in it. Raises PysupError."""
    stream = cast("IO[bytes]", io.BufferedReader(_Stream(pieces), _PIECE))
    try:
        if sys.platform == "linux":
            _by_descriptor(stream, target, keeps_owners=keeps_owners)
        else:
            _by_tarfile(stream, target)
    except (OSError, tarfile.TarError) as error:
        raise PysupError(f"cannot copy to {target.directory}: {error}") from None


def _by_descriptor(stream: IO[bytes], target: Target, *, keeps_owners: bool) -> None:
    from pysup.supervisor.images.extracting import Manner, extract

    mine = os.geteuid(), os.getegid()
    manner = Manner(
        owner=_owner_said if keeps_owners and mine[0] == 0 else lambda _member: mine,
        maker=mine,
        gives_powers=False,
        renamed=target.renamed,
        keeps_kinds=True,
    )
    directory = os.open(target.directory, os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.closing(stream):
        try:
            extract(stream, directory, manner)
        finally:
            os.close(directory)


def _owner_said(member: tarfile.TarInfo) -> tuple[int, int]:
    return member.uid, member.gid


def _by_tarfile(stream: IO[bytes], target: Target) -> None:
    """On other platforms; the filter is as careful (PEP 706)."""
    with tarfile.open(fileobj=stream, mode="r|") as found:
        for member in found:
            member.name, member.linkname = target.renamed(member.name), _link_of(member, target.renamed)
            found.extract(member, target.directory, filter="data")


def _link_of(member: tarfile.TarInfo, renamed: Callable[[str], str]) -> str:
    return renamed(member.linkname) if member.islnk() else member.linkname


class _Stream(io.RawIOBase):
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As RawIOBase."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)
