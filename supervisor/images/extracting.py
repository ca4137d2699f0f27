"""An archive, unpacked into a directory of a container that may be running, and may be hostile (docker cp).

The parents of every entry are opened below the directory (in a container's root: within the root); the entry is made
by name within that descriptor, as something new, and gets owner, mode and times by a descriptor of what was made. So
nobody who exchanges names meanwhile leads it out. Docker's rules for what is there already hold (moby archive.Unpack).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from pysup.supervisor.errors import Forbidden
from pysup.supervisor.images import attributes
from pysup.supervisor.images.tar_stream import BadArchive, Stream, content, members, write_all, write_extents
from pysup.supervisor.images.unpack import parts_of
from pysup.supervisor.kernel import mounts, paths
from pysup.supervisor.kernel.files import closing
from pysup.supervisor.runtime import trees
from pysup.supervisor.runtime.walking import walk

_XATTR = "SCHILY.xattr."
_CAPABILITY = "security.capability"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""The machine's fault, not the archive's."""
_NOT_KEPT = frozenset({errno.ENOTSUP, errno.EPERM, errno.EINVAL})
"""What a file system that cannot keep an attribute says."""
_MADE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SHOWN = 200

Parts = tuple[str, ...]
Owner = Callable[[tarfile.TarInfo], tuple[int, int]]
"""The host's ids for an entry."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to unpack."""

    owner: Owner
    maker: tuple[int, int] = (0, 0)
    """The host's ids for directories that the archive only implies: those of the container's root."""
    is_root: bool = False
    """The directory is the container's root: absolute links in it lead on within it."""
    gives_powers: bool = True
    """Set-id bits, capabilities and devices are made as the archive says. Not where its maker is not to be trusted."""
    renamed: Callable[[str], str] = str
    """How what the archive calls so is to be called."""
    keeps_kinds: bool = False
    """A directory never takes the place of anything else, nor anything else that of a directory."""


def extract(archive: IO[bytes], directory: int, manner: Manner) -> None:
    """Unpack a tar stream, uncompressed. Raises BadArchive, Forbidden, and OSError for a full disk."""
    stream = Stream(archive)
    extraction = _Extraction(stream, directory, manner)
    try:
        for member in members(stream):
            extraction.add(member)
        extraction.finish()
    finally:
        extraction.close()


class _Extraction:
    def __init__(self, stream: Stream, directory: int, manner: Manner) -> None:
        self._stream = stream
        self._parents = _Parents(directory, manner)
        self._manner = manner
        self._directories: dict[Parts, tarfile.TarInfo] = {}

    def close(self) -> None:
        self._parents.close()

    def add(self, member: tarfile.TarInfo) -> None:
        """Make one entry."""
        with _blaming(member):
            parts = parts_of(self._manner.renamed(member.name))
            if parts:
                self._make(member, self._parents.get(parts[:-1]), parts)

    def finish(self) -> None:
        """Directories last, the deepest first: what is made in one changes its time."""
        for parts, member in sorted(self._directories.items(), key=lambda item: -len(item[0])):
            with _blaming(member), contextlib.suppress(FileNotFoundError), self._parents.opened(parts) as fd:
                self._set(member, fd)

    def _make(self, member: tarfile.TarInfo, parent: int, parts: Parts) -> None:
        name = parts[-1]
        if not self._make_room(member, name, parent):
            os.mkdir(name, 0o700, dir_fd=parent)
        if member.isdir():
            self._directories[parts] = member
        elif member.isreg():
            self._write(member, name, parent)
        elif member.islnk():
            self._link(member, name, parent)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
            os.chown(name, *self._manner.owner(member), dir_fd=parent, follow_symlinks=False)
            os.utime(name, ns=attributes.times(member), dir_fd=parent, follow_symlinks=False)
        else:
            self._make_node(member, name, parent)

    def _make_room(self, member: tarfile.TarInfo, name: str, parent: int) -> bool:
        """Remove what is in the way; False if a directory is yet to be made."""
        try:
            status = os.lstat(name, dir_fd=parent)
        except FileNotFoundError:
            return not member.isdir()
        was_directory = stat.S_ISDIR(status.st_mode)
        if was_directory and member.isdir():
            return True
        if self._manner.keeps_kinds and was_directory != member.isdir():
            kinds = ("directory", "non-directory") if was_directory else ("non-directory", "directory")
            raise ValueError(f"cannot overwrite {kinds[0]} with {kinds[1]}")
        _refuse_mount(name, parent)
        if was_directory:
            _refuse_mounts_below(name, parent)
            trees.remove(f"/proc/self/fd/{parent}/{name}")
            self._parents.forget()
        else:
            os.unlink(name, dir_fd=parent)
        return not member.isdir()

    def _write(self, member: tarfile.TarInfo, name: str, parent: int) -> None:
        fd = os.open(name, _MADE, 0o600, dir_fd=parent)
        try:
            if getattr(member, "sparse", None) is None:
                for data in content(self._stream, member):
                    write_all(fd, data)
            else:
                write_extents(self._stream, member, fd)
            self._set(member, fd)
        finally:
            os.close(fd)

    def _link(self, member: tarfile.TarInfo, name: str, parent: int) -> None:
        """To an entry that came before, or to what was there."""
        *above, target = parts_of(self._manner.renamed(member.linkname)) or ("",)
        if not target:
            raise ValueError("it links to nothing")
        with self._parents.opened(tuple(above)) as source:
            os.link(target, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

    def _make_node(self, member: tarfile.TarInfo, name: str, parent: int) -> None:
        """A device or FIFO. It is not opened; that it is still there is looked at by descriptor."""
        mode = attributes.device_mode(member)
        if not (self._manner.gives_powers or member.isfifo()):
            raise ValueError("it is a device")
        device = os.makedev(member.devmajor, member.devminor)
        os.mknod(name, mode, device, dir_fd=parent)
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            status = os.fstat(fd)
            if stat.S_IFMT(status.st_mode) != stat.S_IFMT(mode):
                raise ValueError("somebody has put something else in its place")
            made = f"/proc/self/fd/{fd}"
            os.chown(made, *self._manner.owner(member))
            os.chmod(made, stat.S_IMODE(mode))
            os.utime(made, ns=attributes.times(member))
        finally:
            os.close(fd)

    def _set(self, member: tarfile.TarInfo, fd: int) -> None:
        """Owner, mode, attributes, time. chown(2) clears set-uid bits and capabilities: it comes first."""
        os.fchown(fd, *self._manner.owner(member))
        os.fchmod(fd, stat.S_IMODE(member.mode) & (0o7777 if self._manner.gives_powers else 0o1777))
        for key, value in member.pax_headers.items():
            name = key.removeprefix(_XATTR)
            if (
                name != key
                and attributes.is_kept(name)
                and (self._manner.gives_powers or name != _CAPABILITY)
            ):
                _set_attribute(fd, name, value.encode("utf-8", "surrogateescape"))
        os.utime(fd, ns=attributes.times(member))


def _refuse_mount(name: str, parent: int) -> None:
    """The kernel lets us remove what is a mount point in another mount namespace, and unmounts it there: not here."""
    try:
        os.close(mounts.openat2(parent, name, os.O_PATH | os.O_NOFOLLOW, resolve=paths.ON_ONE_MOUNT))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise OSError(errno.EBUSY, "something is mounted there") from error


def _refuse_mounts_below(name: str, parent: int) -> None:
    top = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        for found in walk(top):
            _refuse_mount(found.name, found.parent)
    finally:
        os.close(top)


def _set_attribute(fd: int, name: str, value: bytes) -> None:
    try:
        os.setxattr(fd, name, value)
    except OSError as error:
        if error.errno not in _NOT_KEPT:
            raise


class _Parents:
    """The directories that entries are made in; one stays open, as an archive goes through a tree depth first."""

    def __init__(self, top: int, manner: Manner) -> None:
        self._top = top
        self._manner = manner
        self._resolve = paths.INSIDE if manner.is_root else paths.WITHIN
        self._open: tuple[Parts, int] | None = None

    def get(self, parts: Parts) -> int:
        """Made, with its parents, if it is missing; good until the next call."""
        if not parts:
            return self._top
        if self._open is None or self._open[0] != parts:
            self.forget()
            self._open = parts, self._find(parts)
        return self._open[1]

    @contextlib.contextmanager
    def opened(self, parts: Parts) -> Iterator[int]:
        """One that is there. Raises OSError."""
        try:
            fd = self._look(parts)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise FileNotFoundError(error.errno, error.strerror) from error
            raise
        with closing(fd):
            yield fd

    def forget(self) -> None:
        """Something was taken away."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    close = forget

    def _look(self, parts: Parts) -> int:
        return mounts.openat2(self._top, "/".join(parts) or ".", _DIRECTORY, resolve=self._resolve)

    def _find(self, parts: Parts) -> int:
        try:
            return self._look(parts)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        fd = self._look(())
        for depth in range(1, len(parts) + 1):
            try:
                below = self._enter(parts[:depth], fd)
            finally:
                os.close(fd)
            fd = below
        return fd

    def _enter(self, parts: Parts, parent: int) -> int:
        try:
            return self._look(parts)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        os.mkdir(parts[-1], 0o755, dir_fd=parent)
        made = os.open(parts[-1], _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        os.fchown(made, *self._manner.maker)
        return made


@contextlib.contextmanager
def _blaming(member: tarfile.TarInfo) -> Iterator[None]:
    """Errors by the entry's name."""
    try:
        yield
    except (OSError, ValueError, OverflowError, EOFError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL:
            raise
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if number == errno.EOVERFLOW:
            cause = "an owner there has no id in the container's user namespace"
        text = f"cannot unpack entry {member.name[:_SHOWN]!r}: {cause}"
        raise (Forbidden(text) if number == errno.EROFS else BadArchive(text)) from error
