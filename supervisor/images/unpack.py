"""Unpacks a hostile archive: whatever its names, links and types say, nothing outside the directory is touched.

Every parent is opened by openat2(2) with RESOLVE_IN_ROOT, so links lead nowhere but inside, and every entry is
made by name within that descriptor, never through an existing file. Owners are numbers; no name is looked up.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tarfile
from collections.abc import Callable
from typing import IO

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.kernel.mounts import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_CHUNK = 1 << 20
_XATTR = "SCHILY.xattr."
_KEPT_XATTRS = ("user.", "security.capability")
"""Others (trusted.overlay.… above all) would change what the layers below look like."""


class BadArchive(BadRequest):
    """The archive is damaged, or asks for what is not allowed; the text names the entry."""


def unpack(archive: IO[bytes], root: int) -> int:
    """Unpack an uncompressed tar stream into the directory ``root``; how many bytes of files it had.

    Raises BadArchive, and OSError for a full disk.
    """
    unpacker = _Unpacker(root)
    try:
        with tarfile.open(fileobj=archive, mode="r|", errorlevel=2) as members:
            for member in members:
                unpacker.add(members, member)
    except (tarfile.TarError, EOFError) as error:
        raise BadArchive(f"cannot unpack the archive: {error or 'it ends too early'}") from error
    unpacker.finish()
    return unpacker.size


def parts_of(name: str) -> list[str]:
    """The components of an entry's name, without a leading slash. Raises BadArchive."""
    if "\0" in name:
        raise BadArchive(f"cannot unpack entry {name!r}: its name has a NUL")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise BadArchive(f"cannot unpack entry {name!r}: its name leads upwards")
    return parts


class _Unpacker:
    def __init__(self, root: int) -> None:
        self._root = root
        self._directories: list[tuple[list[str], tarfile.TarInfo]] = []
        self.size = 0

    def add(self, members: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Make one entry."""
        parts = parts_of(member.name)
        if not parts:
            if member.isdir():
                self._directories.append(([], member))
            return
        try:
            parent = self._parent(parts[:-1])
            try:
                self._make(members, member, parent, parts)
            finally:
                os.close(parent)
        except (KernelError, OSError) as error:
            if error.errno in _FULL:
                raise
            raise BadArchive(f"cannot unpack entry {member.name!r}: {error.strerror}") from error

    def _parent(self, parts: list[str]) -> int:
        """A descriptor of the directory that the parts name, made where it is missing."""
        with contextlib.suppress(FileNotFoundError):
            return openat2(self._root, "/".join(parts) or ".", _DIRECTORY, resolve=_INSIDE)
        above = self._parent(parts[:-1])
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(parts[-1], 0o755, dir_fd=above)
        finally:
            os.close(above)
        return openat2(self._root, "/".join(parts), _DIRECTORY, resolve=_INSIDE)

    def _make(self, members: tarfile.TarFile, member: tarfile.TarInfo, parent: int, parts: list[str]) -> None:
        name = parts[-1]
        if member.isdir():
            self._make_directory(name, parent)
            self._directories.append((parts, member))
            return
        _remove(name, parent)
        if member.islnk():
            self._link(member, parent, name)
            return
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
        elif member.isreg():
            self._write(members, member, parent, name)
        else:
            os.mknod(name, _device_mode(member), os.makedev(member.devmajor, member.devminor), dir_fd=parent)
        _set_owner(member, name, parent)
        if not member.issym():
            os.chmod(name, stat.S_IMODE(member.mode), dir_fd=parent)
        _set_time(member, name, parent)

    def _make_directory(self, name: str, parent: int) -> None:
        """An existing directory is kept, with what is in it; anything else makes room."""
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                os.unlink(name, dir_fd=parent)
                os.mkdir(name, 0o755, dir_fd=parent)

    def _link(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        """A hard link to an entry that came before, found inside."""
        target = parts_of(member.linkname)
        if not target:
            raise BadArchive(f"cannot unpack entry {member.name!r}: it links to nothing")
        above = openat2(self._root, "/".join(target[:-1]) or ".", _DIRECTORY, resolve=_INSIDE)
        try:
            os.link(target[-1], name, src_dir_fd=above, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(above)

    def _write(self, members: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
        content = members.extractfile(member)
        assert content is not None  # noqa: S101 - a regular file has content
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=parent)
        with open(fd, "wb", buffering=0) as file:
            self.size += copy_sparsely(content, file.fileno())
            _set_xattrs(member, file.fileno())

    def finish(self) -> None:
        """Owners, modes and times of directories come last: making entries in them needs and changes them."""
        for parts, member in reversed(self._directories):
            fd = openat2(self._root, "/".join(parts) or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_INSIDE)
            try:
                os.chown(fd, member.uid, member.gid)
                os.chmod(fd, stat.S_IMODE(member.mode))
                _set_xattrs(member, fd)
                os.utime(fd, (member.mtime, member.mtime))
            finally:
                os.close(fd)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The disk's fault, not the archive's."""


def copy_sparsely(source: IO[bytes], fd: int) -> int:
    """Copy, leaving holes where the source has only zeros; the length."""
    length = 0
    while data := source.read(_CHUNK):
        if data.count(0) == len(data):
            os.lseek(fd, len(data), os.SEEK_CUR)
        else:
            _write_all(fd, data)
        length += len(data)
    os.ftruncate(fd, length)
    return length


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _remove(name: str, parent: int) -> None:
    """A later entry takes the place of an earlier one, unless that is a directory with something in it."""
    with contextlib.suppress(FileNotFoundError):
        remove: Callable[..., None] = os.rmdir if _is_directory(name, parent) else os.unlink
        remove(name, dir_fd=parent)


def _is_directory(name: str, parent: int) -> bool:
    return stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode)


def _device_mode(member: tarfile.TarInfo) -> int:
    kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK if member.isblk() else stat.S_IFIFO
    if not (member.isfifo() or member.isdev()):
        raise BadArchive(f"cannot unpack entry {member.name!r}: unknown type {member.type!r}")
    return kind | stat.S_IMODE(member.mode)


def _set_owner(member: tarfile.TarInfo, name: str, parent: int) -> None:
    os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)


def _set_time(member: tarfile.TarInfo, name: str, parent: int) -> None:
    os.utime(name, (member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)


def _set_xattrs(member: tarfile.TarInfo, fd: int) -> None:
    for key, value in member.pax_headers.items():
        attribute = key.removeprefix(_XATTR)
        if key.startswith(_XATTR) and attribute.startswith(_KEPT_XATTRS):
            os.setxattr(fd, attribute, value.encode("utf-8", "surrogateescape"))
