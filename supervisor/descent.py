"""The way down into a tree that somebody else has filled, and back: few descriptors are open, however deep it is.

A container makes its directories as deep as it likes, and may move them meanwhile. The way back is ``..``, as long as
that is still the directory that it came from; no path is looked up twice, and none has a length.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN = 32
"""Directories that are open at once."""

Inode = tuple[int, int]


@dataclass(slots=True)
class Level:
    """A directory on the way."""

    fd: int
    """-1: it is not open now, or cannot be found again."""
    inode: Inode
    name: str
    """In the one above."""
    names: list[str] = field(default_factory=list)
    """Directories in it that are still to be entered."""
    again: int = 0
    """How often one of them had to be entered again."""


class Descent:
    """From the top to where one is."""

    def __init__(self) -> None:
        self.levels: list[Level] = []

    def enter(self, fd: int, name: str = "") -> Level:
        """Go into a directory, whose descriptor is the descent's from now on."""
        level = Level(fd, inode_of(os.fstat(fd)), name)
        self.levels.append(level)
        if len(self.levels) > OPEN:
            _shut(self.levels[-OPEN - 1])
        return level

    def leave(self) -> Level:
        """Go back: the directory that was left. The one above is open again, unless this one was moved elsewhere."""
        left = self.levels.pop()
        if self.levels and self.levels[-1].fd < 0 <= left.fd:
            _reopen(self.levels[-1], left.fd)
        _shut(left)
        return left

    def close(self) -> None:
        """Close what is open."""
        while self.levels:
            _shut(self.levels.pop())


def inode_of(status: os.stat_result) -> Inode:
    """What tells a directory from any other."""
    return status.st_dev, status.st_ino


def _reopen(level: Level, below: int) -> None:
    with contextlib.suppress(OSError):
        level.fd = os.open("..", DIRECTORY, dir_fd=below)
        if inode_of(os.fstat(level.fd)) != level.inode:
            _shut(level)


def _shut(level: Level) -> None:
    if level.fd >= 0:
        os.close(level.fd)
    level.fd = -1
