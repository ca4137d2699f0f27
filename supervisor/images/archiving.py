"""A tree of a container as a tar stream, while the container may be changing it: export, and copying out.

What goes away meanwhile is left out; what changes its kind between two looks is never opened as what it is not.
File systems that the kernel makes up (/proc, /sys) are directories without content here. Everything blocks.
"""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
import threading
from collections.abc import Callable

from pysup.supervisor.images import attributes
from pysup.supervisor.images.tar_writing import TarWriter, add_attributes, entry_of
from pysup.supervisor.kernel import mounts
from pysup.supervisor.runtime.walking import Enters, Found, everywhere, open_regular, reopened, walk
from pysup.supervisor.volumes.copying import Inode, Owners

_OF_THE_KERNEL = frozenset(
    (
        *(0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1CD1, 0x19800202, 0x64626720, 0x74726163, 0x73636673),
        *(0xCAFE4A11, 0x62656570, 0x6E736673, 0x65735543, 0x6165676C, 0xDE5E81E4, 0x42494E4D, 0x0187),
    )
)
"""proc sysfs cgroup cgroup2 devpts mqueue debugfs tracefs securityfs bpf configfs nsfs fusectl pstore efivarfs
binfmt_misc autofs (linux/magic.h): what is read there is no file, and reading can act.
"""
_looking = threading.Lock()


def is_the_kernels(fd: int) -> bool:
    """Whether a descriptor is one of a file system that the kernel makes up."""
    with _looking:  # the buffer of statfs is one for all
        return mounts.filesystem_type(fd) in _OF_THE_KERNEL


class Archiver:
    """Trees, one after the other; then finish()."""

    def __init__(self, write: Callable[[bytes], object], owners: Owners) -> None:
        self._tar = TarWriter(write)
        self._owners = owners
        self._links: dict[Inode, str] = {}

    def add_located(self, fd: int, name: str) -> None:
        """What an O_PATH descriptor refers to, under a name; ``.`` and ``/`` name a directory. Raises OSError."""
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            top = reopened(fd, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._add(name if name.endswith("/") else f"{name}/", status, _attributes(top))
                self.add_below(top, name)
            finally:
                os.close(top)
        elif stat.S_ISREG(status.st_mode):
            content = reopened(fd)
            try:
                self._add_regular(name, status, content)
            finally:
                os.close(content)
        else:
            target = os.readlink("", dir_fd=fd) if stat.S_ISLNK(status.st_mode) else ""
            self._add_special(name, status, target)

    def add_below(self, top: int, prefix: str, enters: Enters = everywhere) -> None:
        """All that is in a directory; the directory itself is not an entry."""

        def wanted(path: str, directory: int) -> bool:
            return not is_the_kernels(directory) and enters(path, directory)

        for found in walk(top, wanted):
            self._take(found, posixpath.join(prefix, found.path))

    def finish(self) -> None:
        """The end of the archive."""
        self._tar.finish()

    def _take(self, found: Found, name: str) -> None:
        mode = found.status.st_mode
        if stat.S_ISDIR(mode):
            self._add(name, found.status, _attributes(f"/proc/self/fd/{found.parent}/{found.name}"))
        elif stat.S_ISREG(mode):
            content = open_regular(found.name, found.parent)
            if content is not None:
                try:
                    self._add_regular(name, os.fstat(content), content)
                finally:
                    os.close(content)
        elif stat.S_ISLNK(mode):
            try:
                target = os.readlink(found.name, dir_fd=found.parent)
            except OSError:  # it is gone, or something else by now
                return
            self._add_special(name, found.status, target)
        else:
            self._add_special(name, found.status)

    def _add(
        self, name: str, status: os.stat_result, found: dict[str, bytes], content: int | None = None
    ) -> None:
        entry = entry_of(name, status, self._owners.of(status.st_uid, status.st_gid))
        add_attributes(entry, found)
        self._tar.add(entry, content)

    def _add_regular(self, name: str, status: os.stat_result, content: int) -> None:
        if not self._linked(name, status):
            self._add(name, status, _attributes(content), content if status.st_size else None)

    def _add_special(self, name: str, status: os.stat_result, target: str = "") -> None:
        if stat.S_ISSOCK(status.st_mode) or self._linked(name, status):
            return
        entry = entry_of(name, status, self._owners.of(status.st_uid, status.st_gid))
        entry.linkname = target
        self._tar.add(entry)

    def _linked(self, name: str, status: os.stat_result) -> bool:
        """Whether the file has been archived by another name: then this is a link to that."""
        if status.st_nlink < 2:  # noqa: PLR2004 - one name only
            return False
        first = self._links.setdefault((status.st_dev, status.st_ino), name)
        if first == name:
            return False
        entry = entry_of(name, status, self._owners.of(status.st_uid, status.st_gid))
        entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, first, 0
        self._tar.add(entry)
        return True


def _attributes(of: int | str) -> dict[str, bytes]:
    """Of a descriptor, or of what is at a path, without following a link there."""
    follow = isinstance(of, int)
    try:
        names = os.listxattr(of, follow_symlinks=follow)
        return {
            name: os.getxattr(of, name, follow_symlinks=follow) for name in names if attributes.is_kept(name)
        }
    except OSError:
        return {}
