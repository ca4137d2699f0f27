"""An empty volume begins with what the image has in its place (docker's copy-up), wholly or not at all.

VOLUMES/NAME/_new    a copy in the making: worth nothing until it is whole
VOLUMES/NAME/_copy   a whole copy: its entries are moved into _data, by whoever finds it

A container that runs already may have the volume: so _data stays the directory that it is, and what somebody else has
put there meanwhile stays, too. Everything here blocks; call it in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.files import rename_to_free, sync_directory, syncfs
from pysup.supervisor.runtime import trees
from pysup.supervisor.volumes.copying import Inode, Owners, copy_tree, make_alike
from pysup.supervisor.volumes.directories import data_of

_INSIDE = mounts.RESOLVE_IN_ROOT | mounts.RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def is_empty(volumes: str, name: str) -> bool:
    """Whether a volume has nothing in it."""
    with os.scandir(data_of(volumes, name)) as entries:
        return next(entries, None) is None


class Image(NamedTuple):
    """Where what is copied comes from."""

    root: int
    """A descriptor of its root, in which every link is looked up."""
    hidden: tuple[str, ...] = ()
    """Host paths that lie in it, and are not the image's."""
    further: tuple[str, ...] = ()
    """Mount points whose file systems are the image's, too."""

    def has(self, directory: int) -> bool:
        """Whether a directory that was found in it is its own; the root as a whole never is, whatever leads there."""
        status = os.fstat(directory)
        devices = {os.fstat(self.root).st_dev, *(os.stat(point).st_dev for point in self.further)}
        path = os.readlink(f"/proc/self/fd/{directory}") + "/"
        return (
            status.st_dev in devices
            and not os.path.samestat(status, os.fstat(self.root))
            and not any(path.startswith(one + "/") for one in self.hidden)
        )

    def hidden_inodes(self) -> set[Inode]:
        """For copy_tree()."""
        found = set()
        for path in self.hidden:
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(path)
                found.add((status.st_dev, status.st_ino))
        return found


def fill(volumes: str, name: str, image: Image, path: str, owners: Owners) -> None:
    """Copy a directory of an image into an empty volume; one that the image has not leaves it empty.

    Raises OSError, and the volume is empty then.
    """
    if not is_empty(volumes, name):
        return
    with _directory_in(image, path) as source:
        if source is None:
            _give(data_of(volumes, name), owners)
            return
        _stage(os.path.join(volumes, name), source, owners, image.hidden_inodes())
    finish(volumes, name)


@contextlib.contextmanager
def _directory_in(image: Image, path: str) -> Iterator[int | None]:
    try:
        fd = mounts.openat2(image.root, path.lstrip("/"), _DIRECTORY, resolve=_INSIDE)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        yield None
        return
    try:
        yield fd if image.has(fd) else None
    finally:
        os.close(fd)


def _give(data: str, owners: Owners) -> None:
    """An empty volume belongs to the container's root."""
    uid, gid = owners.of(0, 0)
    if (uid, gid) != (0, 0):
        os.chown(data, uid, gid)


def _stage(volume: str, source: int, owners: Owners, hidden: Collection[Inode]) -> None:
    new = os.path.join(volume, "_new")
    trees.remove(new)
    os.mkdir(new, 0o700)
    try:
        with _opened(new) as target:
            copy_tree(source, target, owners, hidden)
        syncfs(volume)
        os.rename(new, os.path.join(volume, "_copy"))
    except BaseException:
        trees.remove(new)
        raise
    sync_directory(volume)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, _DIRECTORY | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)


def finish(volumes: str, name: str) -> None:
    """Whatever a crash left of filling a volume: half a copy goes, a whole one is put in its place. Raises OSError."""
    volume, data = os.path.join(volumes, name), data_of(volumes, name)
    trees.remove(os.path.join(volume, "_new"))
    copy = os.path.join(volume, "_copy")
    if not os.path.isdir(copy):
        return
    with _opened(copy) as source, _opened(data) as target:
        before = os.fstat(source)
        for entry in os.listdir(source):
            rename_to_free(entry, entry, source, target)
        make_alike(source, target, Owners(), before)
        os.fsync(target)
    trees.remove(copy)
    sync_directory(volume)
