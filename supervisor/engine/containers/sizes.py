"""What a container takes on disk: counted while it runs, so what is there may change, and be as deep as it likes."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from pysup.supervisor.descent import DIRECTORY, Descent, Inode, Level, inode_of

_BLOCK = 512
"""Bytes of what st_blocks of stat(2) counts."""


class Sizes(NamedTuple):
    """Bytes."""

    rw: int
    """The write layer."""
    root: int
    """The write layer and the image below it."""


def tree_sizes(directories: Iterable[str]) -> int:
    """Bytes that are allocated below directories; a hardlink counts once, what is gone or moved away meanwhile not."""
    seen: set[Inode] = set()
    return sum(_size_below(directory, seen) for directory in directories)


def _size_below(directory: str, seen: set[Inode]) -> int:
    descent, size = Descent(), 0
    try:
        size += _enter(descent, directory, None, seen)
        while descent.levels:
            level = descent.levels[-1]
            if level.names and level.fd >= 0:
                size += _enter(descent, level.names.pop(), level.fd, seen)
            else:
                descent.leave()
    finally:
        descent.close()
    return size


def _enter(descent: Descent, name: str, parent: int | None, seen: set[Inode]) -> int:
    """What is right in a directory; 0 for one that is gone, or is none any more."""
    with contextlib.suppress(OSError):
        return _count(descent.enter(os.open(name, DIRECTORY, dir_fd=parent), name), seen)
    return 0


def _count(level: Level, seen: set[Inode]) -> int:
    size = 0
    with contextlib.suppress(OSError), os.scandir(level.fd) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                size += _size_of(entry.stat(follow_symlinks=False), entry.name, level, seen)
    return size


def _size_of(status: os.stat_result, name: str, level: Level, seen: set[Inode]) -> int:
    if stat.S_ISDIR(status.st_mode):
        level.names.append(name)
    elif status.st_nlink > 1:
        if inode_of(status) in seen:
            return 0
        seen.add(inode_of(status))
    return status.st_blocks * _BLOCK
