"""A tree of this machine, entry by entry: neither its depth nor the length of a path matters, no link is followed.

Where the platform can look names up in an open directory, everything goes by that. What somebody removes between two
looks is not there: a tree that is in use can be read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Found(NamedTuple):
    """One entry; good until the next one is taken."""

    path: str
    """From the top on, without a slash before it."""
    name: str
    """By which it is looked at, in ``directory``."""
    directory: int | None
    """A descriptor; None: the name is a whole path."""
    status: os.stat_result
    """Of itself, not of what a link leads to."""

    @property
    def is_directory(self) -> bool:
        """Whether it is one."""
        return stat.S_ISDIR(self.status.st_mode)

    def open(self, flags: int) -> int:
        """A descriptor of it. Raises OSError."""
        return os.open(self.name, flags, dir_fd=self.directory)

    def link_target(self) -> str:
        """Where a link leads. Raises OSError."""
        return os.readlink(self.name, dir_fd=self.directory)


READ = os.O_RDONLY | sum(
    {getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")}
)
"""No platform has all of these."""
_SHOWN = 200


def shown(path: str) -> str:
    """A path for an error, which may be as long as the tree is deep: its end."""
    return path if len(path) <= _SHOWN else f"…{path[-_SHOWN:]}"


def unless_gone(found: Found, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What is made of an entry; nothing of one that is gone before the first piece. The top itself must be there."""
    try:
        yield from pieces
    except FileNotFoundError:
        if not found.path:
            raise


Enters = Callable[[Found], bool]
"""Whether to go into a directory."""


def everywhere(_found: Found) -> bool:
    """Go into every directory."""
    return True


def walk(top: str, enters: Enters = everywhere) -> Iterator[Found]:
    """All that is below a directory, each directory before what is in it, names in their order. Raises OSError."""
    return (_walk if os.open in os.supports_dir_fd else _walk_by_paths)(top, enters)


def _walk(top: str, enters: Enters) -> Iterator[Found]:
    from pysup.supervisor.descent import DIRECTORY, Descent

    descent, way = Descent(), list[str]()
    try:
        here = descent.enter(os.open(top, DIRECTORY & ~os.O_NOFOLLOW))
        here.names = _names(here.fd)
        while True:
            while here.names:
                found = _found(here.fd, here.names.pop(), way)
                if found is None:
                    continue
                yield found
                if found.is_directory and enters(found) and (fd := _entered(found, DIRECTORY)) is not None:
                    here = descent.enter(fd, found.name)
                    here.names = _left(fd)
                    way.append(found.name)
            descent.leave()
            if not way:
                return
            way.pop()
            here = descent.levels[-1]
    finally:
        descent.close()


def _names(directory: int | str) -> list[str]:
    """The next one last."""
    return sorted(os.listdir(directory), reverse=True)


def _left(directory: int | str) -> list[str]:
    """As _names(); of one that is gone, none."""
    try:
        return _names(directory)
    except FileNotFoundError:
        return []


def _found(directory: int, name: str, way: list[str]) -> Found | None:
    """None: it is gone."""
    if directory < 0:
        path = "/".join(way)
        raise OSError(errno.ENOENT, "it was moved while it was read", path)
    return _looked_at("/".join((*way, name)), name, directory)


def _entered(found: Found, flags: int) -> int | None:
    """None: it is gone."""
    try:
        return found.open(flags)
    except FileNotFoundError:
        return None


def _looked_at(path: str, name: str, directory: int | None) -> Found | None:
    try:
        return Found(path, name, directory, os.lstat(name, dir_fd=directory))
    except FileNotFoundError:
        return None


def _walk_by_paths(top: str, enters: Enters) -> Iterator[Found]:
    waiting = [(name, os.path.join(top, name)) for name in _names(top)]
    while waiting:
        path, whole = waiting.pop()
        found = _looked_at(path, whole, None)
        if found is None:
            continue
        yield found
        if found.is_directory and enters(found):
            waiting += [(f"{path}/{name}", os.path.join(whole, name)) for name in _left(whole)]
