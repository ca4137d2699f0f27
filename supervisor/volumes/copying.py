"""A tree, copied as it is: content with its holes, hard links, owners, modes, extended attributes, times, devices.

The source is somebody else's: every directory is opened below the top one without following a link and without
leaving its file system (openat2(2)). Depth costs neither stack nor descriptors. Everything here blocks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from pysup.supervisor.kernel import mounts, paths
from pysup.supervisor.kernel.files import closing, data_of
from pysup.supervisor.runtime.walking import reopened
from pysup.supervisor.spec.id_maps import IdMap

Inode = tuple[int, int]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MADE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 16 << 20
_OVERLAY = ("trusted.overlay.", "user.overlay.")
"""Attributes that say something to overlayfs alone (kernel: filesystems/overlayfs)."""
_REFUSED = (errno.ENOTSUP, errno.EPERM, errno.EINVAL)
"""What a file system that cannot keep an attribute says."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Ids of the image, as the container's user namespace has them on the host; without maps they stay."""

    uid_maps: Sequence[IdMap] = ()
    gid_maps: Sequence[IdMap] = ()

    def of(self, uid: int, gid: int) -> tuple[int, int]:
        """Host ids; one that is in no map stays what it is."""
        return _mapped(uid, self.uid_maps), _mapped(gid, self.gid_maps)


def _mapped(number: int, maps: Sequence[IdMap]) -> int:
    for one in maps:
        if one.container <= number < one.container + one.size:
            return one.host + number - one.container
    return number


@dataclass(slots=True)
class _Copy:
    """One copy in progress. Paths are relative to the two tops."""

    source: int
    target: int
    owners: Owners
    hidden: Collection[Inode]
    as_layer: bool = False
    links: dict[Inode, str] = field(default_factory=dict)
    """Where the first name of a file with several was copied to."""


def copy_tree(
    source: int, target: int, owners: Owners, hidden: Collection[Inode] = (), *, as_layer: bool = False
) -> None:
    """Copy what is in one directory into another, an empty one, and make that look like it.

    Both are descriptors. ``hidden``: directories, by device and inode, that are left out. ``as_layer``: the source is
    an upper layer of an overlay, and the copy can be one too: with whiteouts and overlayfs' attributes. Raises OSError.
    """
    copy = _Copy(source, target, owners, hidden, as_layer)
    waiting = [""]
    done = []
    while waiting:
        path = waiting.pop()
        waiting += [f"{path}/{name}".lstrip("/") for name in _copy_directory(copy, path)]
        done.append(path)
    for path in reversed(done):  # a directory's time is that of its last change
        _like_source(copy, path)


def _copy_directory(copy: _Copy, path: str) -> Iterator[str]:
    """Copy what is in a directory but is none; yields the names of those that are."""
    with _opened(copy.source, path) as here, _opened(copy.target, path) as there:
        for name in sorted(os.listdir(here)):
            status = os.lstat(name, dir_fd=here)
            if not stat.S_ISDIR(status.st_mode):
                _copy_file(copy, f"{path}/{name}".lstrip("/"), here, there, status)
            elif _wanted(copy, here, status):
                os.mkdir(name, 0o700, dir_fd=there)
                yield name


def _wanted(copy: _Copy, here: int, status: os.stat_result) -> bool:
    """Neither hidden nor the root of another file system."""
    return status.st_dev == os.fstat(here).st_dev and (status.st_dev, status.st_ino) not in copy.hidden


def _opened(top: int, path: str) -> contextlib.AbstractContextManager[int]:
    return closing(mounts.openat2(top, path or ".", _DIRECTORY, resolve=paths.BELOW_ON_ONE_MOUNT))


def _like_source(copy: _Copy, path: str) -> None:
    with _opened(copy.source, path) as here, _opened(copy.target, path) as there:
        make_alike(here, there, copy.owners, as_layer=copy.as_layer)


# -- files ---------------------------------------------------------------------------------------------------


def _copy_file(copy: _Copy, path: str, here: int, there: int, status: os.stat_result) -> None:
    name = os.path.basename(path)
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0 and not copy.as_layer:
        return  # a whiteout of overlayfs: it says that there is nothing
    inode = status.st_dev, status.st_ino
    if inode in copy.links:
        os.link(copy.links[inode], name, src_dir_fd=copy.target, dst_dir_fd=there, follow_symlinks=False)
        return
    if stat.S_ISREG(status.st_mode):
        _copy_regular(copy, name, here, there)
    else:
        _copy_special(copy, name, here, there, status)
    if status.st_nlink > 1:
        copy.links[inode] = path


def _copy_regular(copy: _Copy, name: str, here: int, there: int) -> None:
    source = _opened_file(here, name)
    if source is None:
        return
    try:
        made = os.open(name, _MADE, 0o600, dir_fd=there)
        try:
            copy_content(source, made)
            make_alike(source, made, copy.owners, as_layer=copy.as_layer)
        finally:
            os.close(made)
    finally:
        os.close(source)


def _opened_file(here: int, name: str) -> int | None:
    """Opening can do things (a device acts): what is opened was looked at by descriptor before."""
    found = mounts.openat2(here, name, os.O_PATH | os.O_NOFOLLOW, resolve=paths.BELOW_ON_ONE_MOUNT)
    try:
        return reopened(found) if stat.S_ISREG(os.fstat(found).st_mode) else None
    finally:
        os.close(found)


def _copy_special(copy: _Copy, name: str, here: int, there: int, status: os.stat_result) -> None:
    """Links, devices, FIFOs and sockets: they are never opened."""
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=here), name, dir_fd=there)
    else:
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=there)
    os.chown(name, *copy.owners.of(status.st_uid, status.st_gid), dir_fd=there, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=there)
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=there, follow_symlinks=False)


def copy_content(source: int, target: int) -> None:
    """The bytes of a file; where it has holes, so has the copy."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    for begin, length in data_of(source, size):
        _copy_range(source, target, begin, begin + length)


def _copy_range(source: int, target: int, begin: int, end: int) -> None:
    """Within the kernel, where the two file systems can share blocks or copy by themselves; else by sendfile(2)."""
    while begin < end:
        try:
            count = os.copy_file_range(source, target, min(end - begin, _PIECE), begin, begin)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            os.lseek(target, begin, os.SEEK_SET)
            count = os.sendfile(target, source, begin, min(end - begin, _PIECE))
        if count == 0:  # it became shorter meanwhile
            return
        begin += count


# -- what is beside the content ------------------------------------------------------------------------------


def make_alike(
    source: int,
    target: int,
    owners: Owners,
    status: os.stat_result | None = None,
    *,
    as_layer: bool = False,
) -> None:
    """Owner, mode, attributes and times (``status``: as they were). chown(2) clears set-uid bits: it comes first."""
    status = status or os.fstat(source)
    os.fchown(target, *owners.of(status.st_uid, status.st_gid))
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    _copy_attributes(source, target, () if as_layer else _OVERLAY)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_attributes(source: int, target: int, without: tuple[str, ...]) -> None:
    for name in _attributes(source):
        if not name.startswith(without):
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise


def _attributes(source: int) -> list[str]:
    try:
        return os.listxattr(source)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return []
