"""Descriptors of the directories that an archive unpacks into, as few look-ups as its order allows.

Every look-up is openat2(2) with RESOLVE_IN_ROOT, so links lead nowhere but inside.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict

from pysup.supervisor.images import whiteouts
from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.kernel.mounts import openat2
from pysup.supervisor.kernel.paths import INSIDE

__all__ = ["INSIDE", "Directories", "Parts", "make_directory"]

_KEPT = 64
"""Descriptors that are kept open: an archive goes through a tree depth first."""

Parts = tuple[str, ...]


def make_directory(name: str, parent: int) -> None:
    """Make a directory, unless the name is taken; one that takes a whiteout's place hides what the whiteout hid."""
    try:
        return os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        if not whiteouts.hides(os.lstat(name, dir_fd=parent)):
            return None
    os.unlink(name, dir_fd=parent)
    os.mkdir(name, 0o755, dir_fd=parent)
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        whiteouts.make_opaque(fd)
    finally:
        os.close(fd)
    return None


class Directories:
    """Below ``root``, a descriptor that stays the caller's. The descriptors given out are borrowed."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._open: OrderedDict[Parts, int] = OrderedDict()
        self.stale = False
        """Something was taken away: a name may lead elsewhere now."""

    def get(self, parts: Parts) -> int:
        """The directory that the parts name, made where it is missing; good until the next call."""
        if not parts:
            return self._root
        if self.stale:
            self.close()
        if (fd := self._open.get(parts)) is not None:
            self._open.move_to_end(parts)
            return fd
        fd = self._find(parts)
        self._open[parts] = fd
        if len(self._open) > _KEPT:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def find(self, parts: Parts, flags: int = os.O_PATH) -> int:
        """A descriptor of a directory that is there; the caller closes it. Raises OSError."""
        return openat2(self._root, "/".join(parts) or ".", flags | os.O_DIRECTORY, resolve=INSIDE)

    def _find(self, parts: Parts) -> int:
        try:
            return self.find(parts)
        except KernelError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                raise
        return self._make(parts)

    def _make(self, parts: Parts) -> int:
        fd = self.find(())
        for depth in range(len(parts)):
            try:
                make_directory(parts[depth], fd)
                below = self.find(parts[: depth + 1])
            finally:
                os.close(fd)
            fd = below
        return fd

    def close(self) -> None:
        """Let go of all that are open."""
        self.stale = False
        while self._open:
            os.close(self._open.popitem()[1])
