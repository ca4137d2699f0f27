"""Removing a tree that somebody else has filled: any names, any depth, links to anywhere, flags of chattr(1).

shutil.rmtree is safe from links too, but its descriptors and its stack grow with the depth of the tree, and a
container makes that as deep as it likes. Everything here goes by descriptor, never follows a link and never leaves
the mount that it began in (openat2(2), RESOLVE_NO_XDEV).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable

from pysup.supervisor.descent import DIRECTORY, Descent, Level
from pysup.supervisor.kernel import inode_flags, mounts, paths

_PASSES = 64
"""How often what is in a directory is read again because something was not empty after all its entries were removed."""


def remove(path: str) -> None:
    """Remove a directory with all that is in it; nothing happens if there is none. Raises OSError."""
    for _ in range(_PASSES):
        try:
            top = os.open(path, DIRECTORY)
        except FileNotFoundError:
            return
        if _remove_top(path, top):
            return
    raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)


def _remove_top(path: str, top: int) -> bool:
    """False if it is not empty, as something was moved into it, or not read."""
    held = os.dup(top)
    try:
        _empty(top)
        _despite_flags(held, None, lambda: os.rmdir(path))
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    finally:
        os.close(held)
    return True


def _empty(top: int) -> None:
    descent = Descent()
    try:
        _clear(descent.enter(top))
        while descent.levels:
            _go_on(descent)
    finally:
        descent.close()


def _clear(level: Level) -> None:
    """Remove what is no directory, and directories that are empty; the others are noted."""
    with os.scandir(level.fd) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                _unlink(level.fd, entry.name)
            elif not _removed(level.fd, entry.name):
                level.names.append(entry.name)


def _removed(fd: int, name: str) -> bool:
    with contextlib.suppress(OSError):  # most are empty
        os.rmdir(name, dir_fd=fd)
        return True
    return False


def _go_on(descent: Descent) -> None:
    """Into the next directory, or back: then what was left is empty."""
    level = descent.levels[-1]
    if level.names:
        name = level.names.pop()
        with contextlib.suppress(FileNotFoundError):
            below = mounts.openat2(level.fd, name, DIRECTORY, resolve=paths.BELOW_ON_ONE_MOUNT)
            _clear(descent.enter(below, name))
        return
    left = descent.leave()
    if descent.levels:
        _remove_left(descent.levels[-1], left.name)


def _remove_left(level: Level, name: str) -> None:
    """Again, if it is not empty."""
    if level.fd < 0:
        raise OSError(errno.ESTALE, "it was moved while it was removed", name)
    try:
        _despite_flags(level.fd, name, lambda: os.rmdir(name, dir_fd=level.fd))
    except OSError as error:
        level.again += 1
        if error.errno != errno.ENOTEMPTY or level.again > _PASSES:
            raise
        level.names.append(name)


def _unlink(fd: int, name: str) -> None:
    _despite_flags(fd, name, lambda: os.unlink(name, dir_fd=fd))


def _despite_flags(parent: int, name: str | None, change: Callable[[], None]) -> None:
    """Do it; if that is not permitted, clear the flags that may be the reason, and do it again."""
    try:
        return change()
    except PermissionError:
        cleared = inode_flags.make_removable(parent)
        if name is not None:
            cleared |= _clear_flags(parent, name)
        if not cleared:
            raise
    return change()


def _clear_flags(parent: int, name: str) -> bool:
    """Only files and directories have flags; O_NONBLOCK, lest it be a FIFO that waits for a writer."""
    with contextlib.suppress(OSError):
        fd = mounts.openat2(
            parent, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, resolve=paths.BELOW_ON_ONE_MOUNT
        )
        try:
            return inode_flags.make_removable(fd)
        finally:
            os.close(fd)
    return False
