"""Walking through a tree that somebody else may be changing, by descriptor: no link is followed, depth costs nothing.

What goes away meanwhile is left out, as in docker's archives. Everything here blocks.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pysup.supervisor.kernel import mounts, paths
from pysup.supervisor.kernel.libc import KernelError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class Found(NamedTuple):
    """One entry. The descriptor is good until the next one is taken."""

    path: str
    """From the top, without a leading slash."""
    parent: int
    """Its directory."""
    name: str
    status: os.stat_result
    """Of itself: no link is followed."""


Enters = Callable[[str, int], bool]
"""Whether to go into a directory, by its path from the top and a descriptor of it."""


def everywhere(_path: str, _directory: int) -> bool:
    """Go into every directory."""
    return True


def walk(top: int, enters: Enters = everywhere) -> Iterator[Found]:
    """All that is below a directory, each directory before what is in it, names in their order. Raises OSError."""
    waiting = [""]
    while waiting:
        path = waiting.pop()
        found = _directory_at(top, path)
        if found is None:
            continue
        try:
            directories: list[str] = []
            if enters(path, found):
                yield from _entries(found, path, directories)
        finally:
            os.close(found)
        waiting += reversed(directories)


def _entries(directory: int, path: str, directories: list[str]) -> Iterator[Found]:
    for name in sorted(os.listdir(directory)):
        try:
            status = os.lstat(name, dir_fd=directory)
        except FileNotFoundError:
            continue
        below = f"{path}/{name}".lstrip("/")
        yield Found(below, directory, name, status)
        if stat.S_ISDIR(status.st_mode):
            directories.append(below)


def _directory_at(top: int, path: str) -> int | None:
    try:
        return mounts.openat2(top, path or ".", _DIRECTORY, resolve=paths.BELOW)
    except KernelError as error:
        if error.errno in _GONE:
            return None
        raise


def open_regular(name: str, parent: int) -> int | None:
    """A descriptor for reading a file; None if it is not a regular one (any more).

    Opening can do things: a device acts, a FIFO waits. So what is opened was looked at by descriptor before.
    """
    try:
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return None
    try:
        return reopened(found) if stat.S_ISREG(os.fstat(found).st_mode) else None
    finally:
        os.close(found)


def reopened(fd: int, flags: int = os.O_RDONLY) -> int:
    """What an O_PATH descriptor refers to, opened (proc_pid_fd(5)); never of what the descriptor is not known to be.

    Raises BlockingIOError for a file that somebody has a lease on (F_SETLEASE, fcntl(2)): whoever waits for that waits
    45 s for each file, and a container could keep those who copy from it waiting for ever.
    """
    return os.open(f"/proc/self/fd/{fd}", flags | os.O_CLOEXEC | os.O_NONBLOCK)
