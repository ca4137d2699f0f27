"""Paths of a container, looked up once from outside: below a descriptor of its root, which no link can leave.

What was found is a descriptor (O_PATH), and is only used by that: whoever exchanges a name afterwards, or while it is
looked up, leads nobody anywhere but to another place in the same root (CVE-2018-15664). Docker's rules for a path: the
last name is not followed if it is a link, save with a slash, or a dot, behind it (moby container/archive.go).
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
from typing import NamedTuple

from pysup.supervisor.kernel import mounts, paths
from pysup.supervisor.kernel.files import closing
from pysup.supervisor.kernel.libc import KernelError

_MOST_LINKS = 40
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR})


class Located(NamedTuple):
    """What is at a path."""

    fd: int
    """O_PATH, of the thing itself: of a link, if it is one."""
    path: str
    """Absolute and clean, but with the slash or the dot that was behind it."""
    status: os.stat_result

    @property
    def name(self) -> str:
        """What docker calls it: the last name, ``.`` or ``/``."""
        stripped = self.path.rstrip("/")
        return posixpath.basename(stripped) or "/"


def absolute(path: str) -> str:
    """The path from the root, without ``..``; a slash or a dot at its end stays (archive.PreserveTrailingDot…)."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if posixpath.basename(path) == "." and clean != "/":
        return f"{clean}/."
    if path.endswith("/") and clean != "/":
        return f"{clean}/"
    return "/." if clean == "/" and posixpath.basename(path) == "." else clean


def locate(root: int, path: str) -> Located:
    """Look a path up; the descriptor is the caller's. Raises KernelError."""
    full = absolute(path)
    fd = _look(root, full, follow=full.endswith(("/", "/.")))
    return Located(fd, full, os.fstat(fd))


def directory(root: int, path: str) -> contextlib.AbstractContextManager[int]:
    """A directory for reading and for making names in, whatever links lead to it. Raises KernelError."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    return closing(mounts.openat2(root, _relative(absolute(path)), flags, resolve=paths.INSIDE))


def _look(root: int, path: str, *, follow: bool) -> int:
    flags = os.O_PATH | (os.O_DIRECTORY if follow else os.O_NOFOLLOW)
    return mounts.openat2(root, _relative(path), flags, resolve=paths.INSIDE)


def _relative(path: str) -> str:
    return path.lstrip("/") or "."


def link_target(root: int, path: str) -> str:
    """Where a link leads in the end, as far as there is anything: a path of the container, good to be told only."""
    current = absolute(path).rstrip("/") or "/"
    for _ in range(_MOST_LINKS):
        above, name = posixpath.split(current)
        try:
            parent = _look(root, above, follow=True)
        except KernelError as error:
            if error.errno in _NOT_THERE:
                return current
            raise
        try:
            real = posixpath.join(_path_of(root, parent), name)
            current = posixpath.normpath(
                posixpath.join(posixpath.dirname(real), os.readlink(name, dir_fd=parent))
            )
        except OSError:  # no link, or nothing
            return real
        finally:
            os.close(parent)
    return current


def _path_of(root: int, fd: int) -> str:
    """The path of a directory from the root on, as the kernel has it at this moment."""
    top, path = (os.readlink(f"/proc/self/fd/{one}") for one in (root, fd))
    return "/" + path.removeprefix(top.rstrip("/")).lstrip("/")
