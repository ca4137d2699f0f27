"""What COPY and ADD put into an image's root: every name looked up in that root, no link leads out of it (openat2(2)).

Docker's rules (moby builder/dockerfile/copy.go): a directory gives its content; a file goes below its own name into
what is a directory or ends with a slash; an existing directory stays, anything else makes room. A link in the image
that leads to a directory is that directory, as in BuildKit. Everything blocks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import IO, NamedTuple, cast

from pysup.supervisor.engine.building.opening import open_regular
from pysup.supervisor.engine.building.sources import READ, Source, directories
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.images.compression import compression_of, decompressed
from pysup.supervisor.images.directories import INSIDE
from pysup.supervisor.images.tar_stream import BadArchive, Stream, members
from pysup.supervisor.images.unpack import Bounds, unpack
from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.kernel.mounts import openat2
from pysup.supervisor.runtime import trees
from pysup.supervisor.volumes.copying import Inode, Owners, copy_content, make_alike

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MADE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_HEAD = 1 << 10
_MOST_KEPT = 256
"""Files with several names whose copies are remembered at once; more of them become files of their own."""


@dataclass(frozen=True, slots=True)
class Chosen(Owners):
    """Whose the copies are to be: one owner for all; None: whoever's the source is."""

    owner: tuple[int, int] | None = None

    def of(self, uid: int, gid: int) -> tuple[int, int]:
        """That of everything."""
        return (uid, gid) if self.owner is None else self.owner


class Manner(NamedTuple):
    """How it is to be put."""

    owner: tuple[int, int] | None = (0, 0)
    """None: as in the source."""
    mode: int | None = None
    """Permissions of all files and directories (--chmod)."""

    @property
    def maker(self) -> tuple[int, int]:
        """Whose the directories on the way are."""
        return self.owner or (0, 0)


def target_path(working_directory: str, given: str) -> str:
    """An absolute path in the image; the slash at its end, which says that it is a directory, stays."""
    joined = posixpath.normpath(posixpath.join("/", working_directory, given))
    joined = "/" + joined.lstrip("/")
    is_directory = given.endswith(("/", "/.")) or given in {"", ".", ".."}
    return joined.rstrip("/") + "/" if is_directory else joined


# -- directories of the target -------------------------------------------------------------------------------


def make_directories(root: int, path: str, owner: tuple[int, int]) -> int:
    """A descriptor of a directory of the image; what is missing on the way is made. Raises OSError."""
    fd = openat2(root, ".", _DIRECTORY, resolve=INSIDE)
    done = ""
    for part in path.split("/"):
        if part:
            done = f"{done}/{part}"
            try:
                below = _directory(root, done, fd, owner)
            finally:
                os.close(fd)
            fd = below
    return fd


def _directory(root: int, path: str, parent: int, owner: tuple[int, int]) -> int:
    try:
        return openat2(root, path, _DIRECTORY, resolve=INSIDE)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    os.mkdir(posixpath.basename(path), 0o700, dir_fd=parent)
    fd = openat2(root, path, _DIRECTORY, resolve=INSIDE)
    os.fchown(fd, *owner)
    os.fchmod(fd, 0o755)
    return fd


@contextlib.contextmanager
def _opened(root: int, path: str, owner: tuple[int, int]) -> Iterator[int]:
    fd = make_directories(root, path, owner)
    try:
        yield fd
    finally:
        os.close(fd)


def _is_directory(root: int, path: str) -> bool:
    try:
        os.close(openat2(root, path, os.O_PATH | os.O_DIRECTORY, resolve=INSIDE))
    except KernelError:
        return False
    return True


def _through_links(root: int, path: str) -> str:
    """Where a file of this path lies: a link there leads on, as for whoever writes to it."""
    for _ in range(_MOST_LINKS):
        above, name = posixpath.split(path)
        try:
            parent = openat2(root, above, os.O_PATH | os.O_DIRECTORY, resolve=INSIDE)
        except KernelError:
            return path
        try:
            path = posixpath.join(above, os.readlink(name, dir_fd=parent))
        except OSError:
            return path
        finally:
            os.close(parent)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


# -- placing -------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where something is put, and how."""

    root: int
    """A descriptor of the image's root."""
    path: str
    """Absolute; with a slash at its end a directory."""
    manner: Manner

    def file(self, name: str) -> tuple[str, str]:
        """The directory and the name of a file that is put here, ``name`` being its own."""
        path = self.path
        if path.endswith("/") or _is_directory(self.root, path):
            path = posixpath.join(path, name)
        return posixpath.split(_through_links(self.root, path))


def place(origin: int, source: Source, there: Place) -> None:
    """Put a source into the image. Raises OSError, BadRequest."""
    copy = _Copy(Chosen(owner=there.manner.owner), there.manner.mode)
    if source.is_directory:
        try:
            _place_tree(copy, origin, source, there)
        finally:
            copy.close()
        return
    above, name = there.file(source.name)
    fd = open_regular(origin, source.path)
    try:
        with _opened(there.root, above, there.manner.maker) as parent:
            copy.regular(fd, parent, name)
    finally:
        os.close(fd)


def place_content(content: bytes, name: str, there: Place) -> None:
    """Put a file whose content is in the Dockerfile (a here-document) into the image."""
    above, last = there.file(name)
    with _opened(there.root, above, there.manner.maker) as parent:
        _make_room(parent, last)
        fd = os.open(last, _MADE, 0o644, dir_fd=parent)
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(fd, *there.manner.maker)
            os.fchmod(fd, 0o644 if there.manner.mode is None else there.manner.mode)


def _place_tree(copy: _Copy, origin: int, source: Source, there: Place) -> None:
    """Directories that are there stay as they are; the new ones become like those of the source."""
    above = there.path.rstrip("/")
    new = [] if _is_directory(there.root, there.path) else [""]
    for path, here, names in directories(origin, source.path):
        target = posixpath.join(above, path)
        with _opened(there.root, target, there.manner.maker) as parent:
            known = {name for name in names if _is_directory(there.root, posixpath.join(target, name))}
            new += [posixpath.join(path, name) for name in copy.entries(here, parent, names, known)]
    for path in reversed(new):
        _finish(copy, origin, posixpath.join(source.path, path), there.root, posixpath.join(above, path))


def _finish(copy: _Copy, origin: int, path: str, root: int, wanted: str) -> None:
    """A directory's mode and times come last: making entries in it changes them."""
    here = openat2(origin, path, _DIRECTORY, resolve=INSIDE)
    try:
        there = openat2(root, wanted, _DIRECTORY, resolve=INSIDE)
        try:
            copy.like(here, there)
        finally:
            os.close(there)
    finally:
        os.close(here)


@dataclass(slots=True)
class _Copy:
    """One tree or file on its way."""

    owners: Owners
    mode: int | None
    links: dict[Inode, int] = field(default_factory=dict)
    """Files with several names: a descriptor of the copy."""

    def entries(self, here: int, there: int, names: list[str], known: Collection[str]) -> list[str]:
        """Copy what is in a directory; the names of the directories that were made, and are to be filled.

        ``known``: names of directories that the image has there, or of links that lead to one.
        """
        made = []
        for name in names:
            status = os.lstat(name, dir_fd=here)
            if not stat.S_ISDIR(status.st_mode):
                self._entry(here, there, name, status)
            elif name not in known:
                self._make_directory(there, name)
                made.append(name)
        return made

    def _make_directory(self, there: int, name: str) -> None:
        _refuse_whiteout(name)
        _make_room(there, name)
        os.mkdir(name, 0o700, dir_fd=there)

    def _entry(self, here: int, there: int, name: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            self._special(here, there, name, status)
            return
        first = self.links.get((status.st_dev, status.st_ino))
        if first is not None:
            _make_room(there, name)
            os.link(f"/proc/self/fd/{first}", name, dst_dir_fd=there, follow_symlinks=True)
            return
        fd = os.open(name, READ, dir_fd=here)
        try:
            self.regular(fd, there, name)
        finally:
            os.close(fd)
        if status.st_nlink > 1 and len(self.links) < _MOST_KEPT:
            self.links[status.st_dev, status.st_ino] = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=there)

    def close(self) -> None:
        """Let go of the copies of files with several names."""
        while self.links:
            os.close(self.links.popitem()[1])

    def regular(self, source: int, parent: int, name: str) -> None:
        """Copy an open file."""
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise BadRequest(f"cannot copy {name[:200]!r}: it is neither a file nor a directory nor a link")
        _refuse_whiteout(name)
        _make_room(parent, name)
        made = os.open(name, _MADE, 0o600, dir_fd=parent)
        try:
            copy_content(source, made)
            self.like(source, made)
        finally:
            os.close(made)

    def like(self, source: int, made: int) -> None:
        """Owner, mode, attributes, times."""
        make_alike(source, made, self.owners)
        if self.mode is not None:
            os.fchmod(made, self.mode)

    def _special(self, here: int, there: int, name: str, status: os.stat_result) -> None:
        """Links, devices, FIFOs and sockets: they are never opened."""
        _refuse_whiteout(name)
        _make_room(there, name)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=here), name, dir_fd=there)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=there)
        owner = self.owners.of(status.st_uid, status.st_gid)
        os.chown(name, *owner, dir_fd=there, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=there)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=there, follow_symlinks=False)


def _refuse_whiteout(name: str) -> None:
    if name.startswith(".wh."):
        raise BadRequest(f"cannot copy {name[:200]!r}: in a layer such a name takes another file away")


def _make_room(parent: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            trees.remove(f"/proc/self/fd/{parent}/{name}")
        else:
            os.unlink(name, dir_fd=parent)


# -- archives ------------------------------------------------------------------------------------------------


def is_archive(origin: int, source: Source) -> bool:
    """Whether ADD unpacks it: a tar archive, compressed or not, whatever its name."""
    if source.is_directory:
        return False
    fd = open_regular(origin, source.path)
    with open(fd, "rb") as file:
        head = file.read(_HEAD)
        file.seek(0)
        if not (compression_of(head) or head[257:262] == b"ustar"):
            return False
        try:
            return next(members(Stream(decompressed(cast("IO[bytes]", file)))), None) is not None
        except (BadArchive, OSError, EOFError, ValueError):
            return False


def unpack_into(origin: int, source: Source, place: Place) -> None:
    """What ADD does with an archive: its owners stay, unless one is chosen. Raises BadArchive, OSError."""
    fd = open_regular(origin, source.path)
    with open(fd, "rb") as file, _opened(place.root, place.path.rstrip("/") or "/", (0, 0)) as there:
        bounds = Bounds(whiteouts=False, owner=place.manner.owner)
        unpack(decompressed(cast("IO[bytes]", file)), there, bounds)
