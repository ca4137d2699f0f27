"""Directories of an image that is written to: looked up in its root, made where they are missing. Everything blocks."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath

from pysup.supervisor.images.directories import INSIDE
from pysup.supervisor.kernel.files import closing
from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.kernel.mounts import openat2

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_LINKS = 40
"""In a row, as many as the kernel follows (path_resolution(7))."""


def make_directories(root: int, path: str, owner: tuple[int, int], links: int = 0) -> int:
    """A descriptor of a directory of the image; what is missing on the way is made. Raises OSError.

    A link to nothing leads on all the same: what it names is made, as docker does it. ``links``: followed so far.
    """
    try:
        return openat2(root, path.lstrip("/") or ".", DIRECTORY, resolve=INSIDE)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    fd = openat2(root, ".", DIRECTORY, resolve=INSIDE)
    done = ""
    for part in path.split("/"):
        if part:
            done = f"{done}/{part}"
            try:
                below = _directory(root, done, fd, owner, links)
            finally:
                os.close(fd)
            fd = below
    return fd


def _directory(root: int, path: str, parent: int, owner: tuple[int, int], links: int) -> int:
    try:
        return openat2(root, path, DIRECTORY, resolve=INSIDE)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    above, name = posixpath.split(path)
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        if links == _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None
        target = posixpath.join(above, os.readlink(name, dir_fd=parent))
        return make_directories(root, target, owner, links + 1)
    fd = openat2(root, path, DIRECTORY, resolve=INSIDE)
    os.fchown(fd, *owner)
    os.fchmod(fd, 0o755)
    return fd


def opened(root: int, path: str, owner: tuple[int, int]) -> contextlib.AbstractContextManager[int]:
    """make_directories() for the block."""
    return closing(make_directories(root, path, owner))


def is_directory(root: int, path: str) -> bool:
    """Whether there is one, or a link that leads to one."""
    try:
        os.close(openat2(root, path, os.O_PATH | os.O_DIRECTORY, resolve=INSIDE))
    except KernelError:
        return False
    return True


def through_links(root: int, path: str) -> str:
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
