"""Removing a tree that somebody else has filled: any names, any depth, links to anywhere, flags of chattr(1).

shutil.rmtree is safe from links too, but its descriptors and its stack grow with the depth of the tree, and a
container makes that as deep as it likes. Everything here goes by descriptor, never follows a link and never leaves
the mount that it began in (openat2(2), RESOLVE_NO_XDEV).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable

from pysup.supervisor.kernel import inode_flags, mounts, paths

DEEPEST = 64
"""Directories below this are first moved to the top, so that no more descriptors than this are open."""
_PASSES = 64
"""How often a directory is read again that was not empty after all its entries were removed."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(path: str) -> None:
    """Remove a directory with all that is in it; nothing happens if there is none. Raises OSError."""
    try:
        top = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        _insist(top, None, lambda: _empty(top, top, 0), lambda: os.rmdir(path))
    finally:
        os.close(top)


def _insist(parent: int, name: str | None, empty: Callable[[], None], rmdir: Callable[[], None]) -> None:
    """Empty and remove a directory; again if it is not empty, as something was moved into it, or not read."""
    for _ in range(_PASSES):
        empty()
        try:
            return _despite_flags(parent, name, rmdir)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
    raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), name)


def _empty(top: int, fd: int, depth: int) -> None:
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _remove_directory(top, fd, entry.name, depth)
            else:
                _unlink(fd, entry.name)


def _unlink(fd: int, name: str) -> None:
    _despite_flags(fd, name, lambda: os.unlink(name, dir_fd=fd))


def _remove_directory(top: int, fd: int, name: str, depth: int) -> None:
    with contextlib.suppress(OSError):  # most are empty
        return os.rmdir(name, dir_fd=fd)
    if depth == DEEPEST:
        moved = f"pysup-{secrets.token_hex(8)}"
        return _despite_flags(fd, name, lambda: os.rename(name, moved, src_dir_fd=fd, dst_dir_fd=top))
    child = mounts.openat2(fd, name, _DIRECTORY, resolve=paths.BELOW_ON_ONE_MOUNT)
    try:
        _insist(fd, name, lambda: _empty(top, child, depth + 1), lambda: os.rmdir(name, dir_fd=fd))
    finally:
        os.close(child)
    return None


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
