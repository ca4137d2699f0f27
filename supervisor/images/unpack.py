"""Unpacks a hostile archive: whatever its names, links and types say, nothing outside the directory is touched.

Every parent is opened within the directory (directories.py), and every entry is made by name within that
descriptor, never through an existing file. Owners are numbers; no name is looked up. Whiteouts become overlayfs'.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tarfile
from typing import IO, NamedTuple

from pysup.supervisor.images import attributes, whiteouts
from pysup.supervisor.images.directories import Directories, Parts, make_directory
from pysup.supervisor.images.tar_stream import (
    CHUNK,
    BadArchive,
    Stream,
    content,
    members,
    write_all,
    write_extents,
)
from pysup.supervisor.kernel.own_ids import is_rootless
from pysup.supervisor.runtime import trees

_ZEROS = bytes(CHUNK)
_SMALLEST_HOLE = 1 << 16
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""The machine's fault, not the archive's."""
_SHOWN = 200
"""Characters of an entry's name in a message."""


class Bounds(NamedTuple):
    """How an archive is to be read. The defaults are those of a layer."""

    whiteouts: bool = True
    """Names that begin with ``.wh.`` take something away; else they are names like others."""
    owner: tuple[int, int] | None = None
    """Whose everything is to be; None: whom the archive names."""
    files: int = 1 << 62
    """Entries, at most."""
    size: int = 1 << 62
    """Bytes of files, at most."""
    devices: bool = True
    """Devices and FIFOs may be in it."""
    padded: bool = True
    """Its last entry is as long as the format wants it (tar_stream.Stream)."""


LAYER = Bounds()


def unpack(archive: IO[bytes], root: int, bounds: Bounds = LAYER) -> int:
    """Unpack an uncompressed tar stream into the directory ``root``; how many bytes of files it had.

    Raises BadArchive, and OSError for a full disk.
    """
    stream = Stream(archive, padded=bounds.padded)
    unpacker = _Unpacker(root, stream, bounds)
    try:
        for count, member in enumerate(members(stream), 1):
            if count > bounds.files:
                raise BadArchive(f"cannot unpack the archive: it has more than {bounds.files} entries")
            unpacker.add(member)
        unpacker.finish()
    finally:
        unpacker.close()
    return unpacker.size


def parts_of(name: str) -> Parts:
    """The components of an entry's name, without a leading slash. Raises ValueError."""
    if "\0" in name:
        raise ValueError("its name has a NUL")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise ValueError("its name leads upwards")
    return parts


class _Unpacker:
    def __init__(self, root: int, stream: Stream, bounds: Bounds) -> None:
        self._bounds = bounds
        self._root = root
        self._stream = stream
        self._found = Directories(root)
        self._directories: dict[Parts, tarfile.TarInfo] = {}
        """Owners, modes and times of directories come last: making entries in them needs and changes them."""
        self.size = 0

    def close(self) -> None:
        """Let go of the descriptors."""
        self._found.close()

    def add(self, member: tarfile.TarInfo) -> None:
        """Make one entry. Raises BadArchive with its name."""
        if self._bounds.owner is not None:
            member.uid, member.gid = self._bounds.owner
        try:
            self._add(member, parts_of(member.name))
        except (OSError, ValueError, OverflowError, EOFError) as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            raise _bad(member, error) from error

    def _add(self, member: tarfile.TarInfo, parts: Parts) -> None:
        if not parts:
            if member.isdir():
                self._directories[parts] = member
            return
        kind, hidden = whiteouts.kind_of(parts[-1]) if self._bounds.whiteouts else ("entry", "")
        if kind == "opaque":
            self._opaque(parts[:-1])
        elif kind == "whiteout":
            self._hide((*parts[:-1], hidden))
        elif kind == "entry":
            self._make(member, self._found.get(parts[:-1]), parts)

    # -- whiteouts -------------------------------------------------------------------------------------------

    def _opaque(self, parts: Parts) -> None:
        self._found.get(parts)
        fd = self._found.find(parts, os.O_RDONLY)
        try:
            whiteouts.make_opaque(fd)
        finally:
            os.close(fd)

    def _hide(self, parts: Parts) -> None:
        """Hide it in the layers below only: an entry of this layer stays (layer.md)."""
        parent, name = self._found.get(parts[:-1]), parts[-1]
        try:
            whiteouts.hide(name, parent)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                self._opaque(parts)

    # -- entries ---------------------------------------------------------------------------------------------

    def _make(self, member: tarfile.TarInfo, parent: int, parts: Parts) -> None:
        name = parts[-1]
        if member.isdir():
            self._make_directory(name, parent)
            self._directories[parts] = member
        elif member.isreg():
            self._write(member, parent, name)
        elif member.islnk():
            self._link(member, parent, name)
        else:
            self._make_special(member, parent, name)

    def _make_directory(self, name: str, parent: int) -> None:
        """An existing directory is kept, with what is in it; anything else makes room."""
        make_directory(name, parent)
        if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            self._make_room(name, parent)
            os.mkdir(name, 0o755, dir_fd=parent)

    def _make_special(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        mode = 0 if member.issym() else attributes.device_mode(member)
        if mode and not self._bounds.devices:
            raise ValueError("it is a device or a FIFO")
        with contextlib.suppress(FileNotFoundError):
            os.lstat(name, dir_fd=parent)
            self._make_room(name, parent)
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
        elif member.isfifo() or not is_rootless():
            os.mknod(name, mode, os.makedev(member.devmajor, member.devminor), dir_fd=parent)
        else:  # a node that nobody without root can make, nor open
            return
        attributes.of_name(member, name, parent)

    def _link(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        """A hard link to an entry that came before, found inside."""
        *above, target = parts_of(member.linkname) or ("",)
        if not target:
            raise ValueError("it links to nothing")
        with contextlib.suppress(FileNotFoundError):
            os.lstat(name, dir_fd=parent)
            self._make_room(name, parent)
        source = self._found.find(tuple(above))
        try:
            os.link(target, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def _write(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        fd = self._create(name, parent)
        try:
            if getattr(member, "sparse", None) is None:
                self._copy(member, fd)
            else:
                write_extents(self._stream, member, fd, self._count)
            attributes.of_descriptor(member, fd)
        finally:
            os.close(fd)

    def _create(self, name: str, parent: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            return os.open(name, flags, 0o600, dir_fd=parent)
        except FileExistsError:
            self._make_room(name, parent)
            return os.open(name, flags, 0o600, dir_fd=parent)

    def _copy(self, member: tarfile.TarInfo, fd: int) -> None:
        """A hole is left for a piece of zeros only."""
        hole = False
        for data in content(self._stream, member):
            self._count(len(data))
            hole = len(data) >= _SMALLEST_HOLE and data == _ZEROS[: len(data)]
            if hole:
                os.lseek(fd, len(data), os.SEEK_CUR)
            else:
                write_all(fd, data)
        if hole:
            os.ftruncate(fd, member.size)

    def _count(self, length: int) -> None:
        self.size += length
        if self.size > self._bounds.size:
            raise ValueError(f"the archive has more than {self._bounds.size} bytes of files")

    def _make_room(self, name: str, parent: int) -> None:
        """A later entry takes the place of an earlier one."""
        if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            trees.remove(f"/proc/self/fd/{parent}/{name}")
        else:
            os.unlink(name, dir_fd=parent)
        self._found.stale = True

    def finish(self) -> None:
        """The directories, the deepest first."""
        for parts, member in sorted(self._directories.items(), key=lambda item: -len(item[0])):
            try:
                self._finish(parts, member)
            except (OSError, ValueError, OverflowError) as error:
                raise _bad(member, error) from error

    def _finish(self, parts: Parts, member: tarfile.TarInfo) -> None:
        try:
            fd = self._found.find(parts, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:  # a later entry took its place
                return
            raise
        try:
            attributes.of_descriptor(member, fd)
        finally:
            os.close(fd)


def _bad(member: tarfile.TarInfo, error: Exception) -> BadArchive:
    cause = error.strerror if isinstance(error, OSError) and error.strerror else error
    return BadArchive(f"cannot unpack entry {member.name[:_SHOWN]!r}: {cause}")
