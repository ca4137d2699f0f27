"""What a container takes on disk."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from typing import NamedTuple


class Sizes(NamedTuple):
    """Bytes."""

    rw: int
    """The write layer."""
    root: int
    """The write layer and the image below it."""


def tree_sizes(directories: Iterable[str]) -> int:
    """Bytes that are allocated below directories (st_blocks of stat(2)); a hardlink counts once.

    What goes meanwhile, and what lies so deep that it has no path (PATH_MAX), is left out. However deep the tree is.
    """
    seen: set[tuple[int, int]] = set()
    size, waiting = 0, [*directories]
    while waiting:
        for entry in _entries(waiting.pop()):
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                size += _size(status, seen)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(entry.path)
    return size


def _entries(directory: str) -> list[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        return list(entries)
    return []


def _size(status: os.stat_result, seen: set[tuple[int, int]]) -> int:
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
        key = (status.st_dev, status.st_ino)
        if key in seen:
            return 0
        seen.add(key)
    return status.st_blocks * 512
