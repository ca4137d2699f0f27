"""What a container takes on disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple


class Sizes(NamedTuple):
    """Bytes."""

    rw: int
    """The write layer."""
    root: int
    """The write layer and the image below it."""


def tree_sizes(directories: Iterable[str]) -> int:
    """Bytes that are allocated below directories (st_blocks of stat(2)); a hardlink counts once."""
    seen: set[tuple[int, int]] = set()
    return sum(size for directory in directories for size in _sizes(directory, seen))


def _sizes(directory: str, seen: set[tuple[int, int]]) -> Iterable[int]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        status = entry.stat(follow_symlinks=False)
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
            if key in seen:
                continue
            seen.add(key)
        yield status.st_blocks * 512
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(entry.path, seen)
