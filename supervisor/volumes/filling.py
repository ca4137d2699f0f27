"""An empty volume begins with what the image has in its place (docker's copy-up), wholly or not at all.

VOLUMES/NAME/_new    a copy in the making: worth nothing until it is whole
VOLUMES/NAME/_copy   a whole copy: its entries are moved into _data, by whoever finds it

Where the volume is a directory of the host (o=bind), the two lie in that, as .pysup-new-NAME and .pysup-copy-NAME: a
rename leads no further than its file system. A container that runs already may have the volume: so its directory stays
what it is, and what somebody else has put there meanwhile stays, too. Everything here blocks; call it in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from pysup.supervisor.kernel import mounts, paths
from pysup.supervisor.kernel.files import closing, rename_to_free, sync_directory, syncfs
from pysup.supervisor.runtime import trees
from pysup.supervisor.volumes.copying import Inode, Owners, copy_tree, make_alike
from pysup.supervisor.volumes.directories import data_of

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Place(NamedTuple):
    """Where a volume's content is, and where a copy is made."""

    name: str
    data: str
    new: str
    copy: str
    is_host: bool
    """A directory of the host, which is shown with the host's ids whoever looks at it."""


def own_place(volumes: str, name: str) -> Place:
    """Of a volume that pysup keeps."""
    volume = os.path.join(volumes, name)
    return Place(name, data_of(volumes, name), f"{volume}/_new", f"{volume}/_copy", is_host=False)


def host_place(directory: str, name: str) -> Place:
    """Of a volume that is a directory of the host."""
    new, copy = f"{directory}/.pysup-new-{name}", f"{directory}/.pysup-copy-{name}"
    return Place(name, directory, new, copy, is_host=True)


def is_empty(place: Place) -> bool:
    """Whether a volume has nothing in it."""
    unfinished = {place.new, place.copy}
    return all(f"{place.data}/{name}" in unfinished for name in os.listdir(place.data))


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


def fill(place: Place, image: Image, path: str, owners: Owners) -> None:
    """Copy a directory of an image into an empty volume; one that the image has not leaves it empty.

    Raises OSError, and the volume is empty then.
    """
    if not is_empty(place):
        return
    with _directory_in(image, path) as source:
        if source is None:
            _give(place.data, owners)
            return
        _stage(place, source, owners, image.hidden_inodes())
    finish(place)


@contextlib.contextmanager
def _directory_in(image: Image, path: str) -> Iterator[int | None]:
    try:
        fd = mounts.openat2(image.root, path.lstrip("/"), _DIRECTORY, resolve=paths.INSIDE)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        yield None
        return
    with closing(fd):
        yield fd if image.has(fd) else None


def _give(data: str, owners: Owners) -> None:
    """An empty volume belongs to the container's root."""
    uid, gid = owners.of(0, 0)
    if (uid, gid) != (0, 0):
        os.chown(data, uid, gid)


def _stage(place: Place, source: int, owners: Owners, hidden: Collection[Inode]) -> None:
    trees.remove(place.new)
    os.mkdir(place.new, 0o700)
    try:
        with _opened(place.new) as target:
            copy_tree(source, target, owners, hidden)
        syncfs(place.new)
        os.rename(place.new, place.copy)
    except BaseException:
        trees.remove(place.new)
        raise
    sync_directory(os.path.dirname(place.copy))


def _opened(path: str) -> contextlib.AbstractContextManager[int]:
    return closing(os.open(path, _DIRECTORY | os.O_NOFOLLOW))


def finish(place: Place) -> None:
    """Whatever a crash left of filling a volume: half a copy goes, a whole one is put in its place. Raises OSError."""
    trees.remove(place.new)
    if not os.path.isdir(place.copy):
        return
    with _opened(place.copy) as source, _opened(place.data) as target:
        before = os.fstat(source)
        for entry in os.listdir(source):
            rename_to_free(entry, entry, source, target)
        make_alike(source, target, Owners(), before)
        os.fsync(target)
    trees.remove(place.copy)
    sync_directory(os.path.dirname(place.copy))
