"""The context of a build: a directory as a tar stream, piece by piece, without what .dockerignore leaves out.

No link is followed, so what is outside stays outside. Owners are left out, as the daemon makes everything root's.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from pysup.supervisor.build.ignoring import Ignored, read_ignore_file
from pysup.supervisor.cli.files import reading
from pysup.supervisor.cli.files.walking import READ, Found, shown, unless_gone, walk
from pysup.supervisor.errors import PysupError

_PIECE = 1 << 20
_IGNORE = ".dockerignore"
_CAPABILITY = "security.capability"
_END = bytes(2 * tarfile.BLOCKSIZE)


class Source(NamedTuple):
    """What is to be sent."""

    directory: str
    """Empty: nothing but the Dockerfile."""
    dockerfile: str
    """Its name in the context."""
    text: bytes | None = None
    """Its content, if it is no file of the context."""
    rules: str = ""
    """Of the ignore file that counts."""
    own_rules: bool = False
    """They are the Dockerfile's own (NAME.dockerignore)."""


def source_of(directory: str, dockerfile: str, text: bytes | None) -> Source:
    """Where the Dockerfile is, and which rules count. ``text``: read from standard input. Raises PysupError."""
    if not os.path.isdir(directory):
        raise PysupError(f"cannot build: path {directory!r} not found, or no directory")
    if text is not None:
        return Source(directory, _made_up(), text, _read_text(os.path.join(directory, _IGNORE)))
    path = dockerfile or _usual(directory)
    own = _read_text(f"{path}.dockerignore")
    rules = own or _read_text(os.path.join(directory, _IGNORE))
    inside = os.path.relpath(os.path.realpath(path), os.path.realpath(directory))
    if inside.startswith("../") or own:
        return Source(directory, _made_up(), _read(path), rules, own_rules=bool(own))
    if not os.path.exists(path):
        raise PysupError(f"cannot build: cannot read the Dockerfile {path}: no such file")
    return Source(directory, inside, None, rules)


def _usual(directory: str) -> str:
    """Written in small letters, where there is no other."""
    small, usual = (os.path.join(directory, name) for name in ("dockerfile", "Dockerfile"))
    return small if os.path.exists(small) and not os.path.exists(usual) else usual


def _made_up() -> str:
    return f".dockerfile.{secrets.token_hex(10)}"


def _read(path: str) -> bytes:
    try:
        return reading.content(path)
    except OSError as error:
        raise PysupError(f"cannot build: cannot read the Dockerfile {path}: {error.strerror}") from None
    except ValueError as error:
        raise PysupError(f"cannot build: cannot read the Dockerfile {path}: {error}") from None


def _read_text(path: str) -> str:
    try:
        return reading.text(path)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise PysupError(f"cannot build: cannot read {path}: {error}") from None


# -- packing -------------------------------------------------------------------------------------------------


def pack(source: Source) -> Iterator[bytes]:
    """The tar stream. Raises PysupError, BadRequest for rules that cannot be read.

    As docker's command line does, the Dockerfile and the rules are sent in any case; the daemon removes them again if
    the rules leave them out, and a Dockerfile from elsewhere by a rule that is added for it.
    """
    packing = _Packing(read_ignore_file(source.rules), source)
    if source.directory:
        yield from packing.entries()
    if source.text is not None:
        yield from _file(source.dockerfile, source.text)
        added = [source.dockerfile, *([_IGNORE] if source.own_rules or not source.rules else [])]
        yield from _file(_IGNORE, "\n".join([source.rules, *added, ""]).encode())
    yield _END


def _file(name: str, content: bytes) -> Iterator[bytes]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    yield _head(entry)
    yield content
    yield _padding(len(content))


def _head(entry: tarfile.TarInfo) -> bytes:
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


class _Packing:
    def __init__(self, ignored: Ignored, source: Source) -> None:
        self._ignored = ignored
        self._top = source.directory
        self._always = {source.dockerfile, _IGNORE} if source.text is None else set()
        self._never = {_IGNORE} if source.text is not None else set()
        self._links: dict[tuple[int, int], str] = {}

    def entries(self) -> Iterator[bytes]:
        """What is in the directory, in the order of the names."""
        at = self._top
        try:
            for found in walk(self._top, self._enters):
                at = os.path.join(self._top, found.path)
                if found.path not in self._never and self._wants(found.path):
                    yield from unless_gone(found, self._entry(found))
        except OSError as error:
            raise PysupError(f"cannot build: cannot read {shown(at)}: {error.strerror}") from None

    def _wants(self, path: str) -> bool:
        return path in self._always or not self._ignored(path)

    def _enters(self, found: Found) -> bool:
        """Something may be wanted in a directory that is not."""
        path = found.path
        return path not in self._never and (
            self._wants(path)
            or not self._ignored.wholly(path)
            or any(one.startswith(path + "/") for one in self._always)
        )

    def _entry(self, found: Found) -> Iterator[bytes]:
        if found.is_directory:
            yield _head(self._described(found.path, found.status, tarfile.DIRTYPE))
        elif not stat.S_ISSOCK(found.status.st_mode):
            yield from self._leaf(found)

    def _leaf(self, found: Found) -> Iterator[bytes]:
        path, status = found.path, found.status
        first = self._links.get((status.st_dev, status.st_ino))
        if first is not None:
            yield _head(self._described(path, status, tarfile.LNKTYPE, first))
        elif stat.S_ISLNK(status.st_mode):
            yield _head(self._described(path, status, tarfile.SYMTYPE, found.link_target()))
        elif stat.S_ISREG(status.st_mode):
            yield from self._regular(found)
            if status.st_nlink > 1:
                self._links[status.st_dev, status.st_ino] = path
        else:
            raise PysupError(f"cannot build: {shown(path)} is a device or a FIFO: leave it out by {_IGNORE}")

    def _regular(self, found: Found) -> Iterator[bytes]:
        path = found.path
        with open(found.open(READ), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            entry = self._described(path, status, tarfile.REGTYPE)
            entry.size = left = status.st_size
            if sys.platform == "linux" and _CAPABILITY in os.listxattr(file.fileno()):
                value = os.getxattr(file.fileno(), _CAPABILITY)
                entry.pax_headers = {f"SCHILY.xattr.{_CAPABILITY}": value.decode("utf-8", "surrogateescape")}
            yield _head(entry)
            while left:
                piece = file.read(min(left, _PIECE))
                if not piece:
                    raise PysupError(f"cannot build: {shown(path)} became shorter while it was read")
                yield piece
                left -= len(piece)
            yield _padding(entry.size)

    @staticmethod
    def _described(path: str, status: os.stat_result, kind: bytes, link: str = "") -> tarfile.TarInfo:
        entry = tarfile.TarInfo(path + "/" if kind == tarfile.DIRTYPE else path)
        entry.type, entry.linkname = kind, link
        entry.mode, entry.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
        return entry
