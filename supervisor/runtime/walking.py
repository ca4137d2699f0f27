"""Walking through a tree that somebody else may be changing, by descriptor: no link is followed, depth costs nothing.

What goes away meanwhile is left out, as in docker's archives. Everything here blocks.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.libc import KernelError

_BELOW = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_SYMLINKS
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


def everything(_directory: int, _status: os.stat_result) -> bool:
    """Go into every directory."""
    return True


def walk(
    top: int, enters: Callable[[int, os.stat_result], bool] = everything, start: str = ""
) -> Iterator[Found]:
    """All that is below ``top/start``, each directory before what is in it, names in their order.

    ``enters``: asked, with a descriptor of it, whether to go into a directory. Raises OSError.
    """
    waiting = [start]
    while waiting:
        path = waiting.pop()
        found = _directory_at(top, path)
        if found is None:
            continue
        try:
            directories: list[str] = []
            if enters(found, os.fstat(found)):
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
        return mounts.openat2(top, path or ".", _DIRECTORY, resolve=_BELOW)
    except KernelError as error:
        if error.errno in _GONE:
            return None
        raise
