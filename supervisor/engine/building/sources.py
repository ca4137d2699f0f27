"""What COPY and ADD take: found below a root that no link leaves, and told by its content. Everything blocks."""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pysup.supervisor.build.patterns import BadPattern, glob, has_wildcards
from pysup.supervisor.engine.files.opening import open_regular
from pysup.supervisor.errors import BadRequest, NotFound
from pysup.supervisor.images.directories import INSIDE
from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.kernel.mounts import openat2

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20
_CAPABILITY = "security.capability"


class Source(NamedTuple):
    """One file or directory, by the path under which it was found."""

    path: str
    """Relative to the root."""
    is_directory: bool

    @property
    def name(self) -> str:
        """What it is called where it is copied into a directory."""
        return posixpath.basename(self.path)


def find(root: int, pattern: str) -> list[Source]:
    """What a source names, its wildcards expanded (filepath.Match). Raises NotFound, BadRequest."""
    path = posixpath.normpath(pattern.lstrip("/") or ".")
    if path == ".." or path.startswith("../"):
        raise BadRequest(f"cannot build: Forbidden path outside the build context: {pattern[:200]}")
    paths = list(_matches(root, path)) if has_wildcards(path) else [path]
    found = [_source(root, one, pattern) for one in paths]
    if not found:
        raise NotFound(f"cannot build: no source files were specified: nothing fits {pattern[:200]}")
    return found


def _matches(root: int, pattern: str, directory: str = "") -> Iterator[str]:
    """Component by component, in the order of the names; no link is followed on the way."""
    here, _, below = pattern.partition("/")
    try:
        expression = glob(here)
    except BadPattern as error:
        raise BadRequest(f"cannot build: {error}") from None
    try:
        fd = openat2(root, directory or ".", DIRECTORY, resolve=INSIDE)
    except KernelError as error:
        if error.errno in {errno.ENOTDIR, errno.ENOENT, errno.ELOOP}:
            return
        raise
    try:
        names = sorted(name for name in os.listdir(fd) if expression.fits(name))
    finally:
        os.close(fd)
    for name in names:
        path = f"{directory}/{name}".lstrip("/")
        if below:
            yield from _matches(root, below, path)
        else:
            yield path


def _source(root: int, path: str, asked: str) -> Source:
    try:
        fd = openat2(root, path, os.O_PATH, resolve=INSIDE)
    except KernelError as error:
        cause = f"COPY failed: file not found in build context or excluded by .dockerignore: {asked[:200]}"
        raise NotFound(f"cannot build: {cause}: {error.strerror}") from None
    try:
        return Source(path, stat.S_ISDIR(os.fstat(fd).st_mode))
    finally:
        os.close(fd)


# -- digests -------------------------------------------------------------------------------------------------


def digest(root: int, source: Source, *, owners: bool) -> str:
    """``file:…`` or ``dir:…``: content, names, modes, and with ``owners`` whose it is; times count nothing."""
    hashing = hashlib.sha256()
    if not source.is_directory:
        fd = open_regular(root, source.path)
        try:
            _add_file(hashing, source.name, fd, owners=owners)
        finally:
            os.close(fd)
        return f"file:{hashing.hexdigest()}"
    for path, fd, names in directories(root, source.path):
        _add(hashing, path, os.fstat(fd), "d", owners=owners)
        for name in names:
            _add_entry(hashing, posixpath.join(path, name), fd, name, owners=owners)
    return f"dir:{hashing.hexdigest()}"


def content_digest(name: str, content: bytes) -> str:
    """Of a file whose content is in the Dockerfile."""
    return f"file:{hashlib.sha256(name.encode() + bytes(1) + content).hexdigest()}"


def directories(root: int, path: str) -> Iterator[tuple[str, int, list[str]]]:
    """Every directory of a tree: its path below the first one, a descriptor until the next, its sorted names."""
    waiting: list[tuple[str, ...]] = [()]
    top = openat2(root, path, DIRECTORY & ~os.O_NOFOLLOW, resolve=INSIDE)
    try:
        while waiting:
            parts = waiting.pop()
            fd = openat2(top, "/".join(parts) or ".", DIRECTORY, resolve=INSIDE)
            try:
                names = sorted(os.listdir(fd))
                yield "/".join(parts), fd, names
                below = [name for name in names if stat.S_ISDIR(os.lstat(name, dir_fd=fd).st_mode)]
            finally:
                os.close(fd)
            waiting += [(*parts, name) for name in reversed(below)]
    finally:
        os.close(top)


def _add_entry(hashing: hashlib._Hash, path: str, parent: int, name: str, *, owners: bool) -> None:
    status = os.lstat(name, dir_fd=parent)
    if stat.S_ISREG(status.st_mode):
        fd = os.open(name, READ, dir_fd=parent)
        try:
            _add_file(hashing, path, fd, owners=owners)
        finally:
            os.close(fd)
    elif stat.S_ISLNK(status.st_mode):
        _add(hashing, path, status, "l" + os.readlink(name, dir_fd=parent), owners=owners)
    elif not stat.S_ISDIR(status.st_mode):
        _add(hashing, path, status, f"s{status.st_rdev}", owners=owners)


def _add_file(hashing: hashlib._Hash, path: str, fd: int, *, owners: bool) -> None:
    status = os.fstat(fd)
    content = hashlib.sha256()
    if stat.S_ISREG(status.st_mode):
        while data := os.read(fd, _PIECE):
            content.update(data)
    capability = os.getxattr(fd, _CAPABILITY).hex() if _CAPABILITY in os.listxattr(fd) else ""
    _add(hashing, path, status, f"f{content.hexdigest()}{capability}", owners=owners)


def _add(hashing: hashlib._Hash, path: str, status: os.stat_result, rest: str, *, owners: bool) -> None:
    owner: Sequence[int] = (status.st_uid, status.st_gid) if owners else ()
    line = repr((path, status.st_mode, *owner, rest))
    hashing.update(line.encode("utf-8", "surrogateescape") + b"\0")
