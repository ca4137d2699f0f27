"""What a container has changed, added and deleted, from its write layer alone (docker diff).

The kinds are docker's (moby pkg/archive, changes.go): a file that was only opened for writing is no change, a
directory is one if it looks different or something in it has changed, and of a deleted directory only the name is
told. Reading follows no link, in no layer. Everything blocks.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import IntEnum
from typing import NamedTuple

from pysup.supervisor.images import whiteouts
from pysup.supervisor.images.write_layers import Rules
from pysup.supervisor.kernel import mounts, paths
from pysup.supervisor.kernel.files import closing
from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.runtime.walking import Found, walk

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_CAPABILITY = "security.capability"


class Kind(IntEnum):
    """Docker's numbers; its letters are C, A and D."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """One path of the container."""

    path: str
    kind: Kind


class Overlay(NamedTuple):
    """One overlay of a root."""

    point: str
    """Where it is mounted in the container: ``/``, or the mount point of a further file system."""
    upper: str
    lower: Sequence[str]
    """Host paths, topmost first."""


def changes(overlays: Sequence[Overlay], rules: Rules) -> list[Change]:
    """In the order of their paths. Raises OSError."""
    found: dict[str, Kind] = {}
    for overlay in overlays:
        with ExitStack() as stack:
            upper = _opened(overlay.upper, stack)
            below = _Below([_opened(path, stack) for path in overlay.lower])
            comparison = _Comparison(upper, below, rules)
            found |= {posixpath.join(overlay.point, path): kind for path, kind in comparison.run()}
    for path in list(found):
        while (path := posixpath.dirname(path)) not in found and path != "/":
            found[path] = Kind.MODIFIED
    return [Change(path, found[path]) for path in sorted(found)]


def _opened(path: str, stack: ExitStack) -> int:
    fd = os.open(path, _DIRECTORY & ~os.O_NOFOLLOW)
    stack.callback(os.close, fd)
    return fd


class _Comparison:
    """A write layer and what lies below it."""

    def __init__(self, upper: int, below: _Below, rules: Rules) -> None:
        self._upper = upper
        self._below = below
        self._rules = rules

    def run(self) -> Iterator[tuple[str, Kind]]:
        for found in walk(self._upper):
            before = self._below.find(found.path)
            if whiteouts.hides(found.status):
                if before is not None:
                    yield found.path, Kind.DELETED
            elif before is None:
                if not self._is_own(found):
                    yield found.path, Kind.ADDED
            else:
                yield from self._compare(found, before)

    def _compare(self, found: Found, before: _Entry) -> Iterator[tuple[str, Kind]]:
        if self._differs(found, before):
            yield found.path, Kind.MODIFIED
        if stat.S_ISDIR(before.status.st_mode):
            yield from ((path, Kind.DELETED) for path in self._hidden(found))

    def _hidden(self, found: Found) -> list[str]:
        """What was in a directory that something else has taken the place of."""
        if not stat.S_ISDIR(found.status.st_mode):
            return [f"{found.path}/{name}" for name in self._below.names(found.path)]
        with _below(found.parent, found.name) as directory:
            if directory is None or not whiteouts.is_opaque(directory, to_users=self._rules.to_users):
                return []
            kept = set(os.listdir(directory))
        return [f"{found.path}/{name}" for name in self._below.names(found.path) if name not in kept]

    def _differs(self, found: Found, before: _Entry) -> bool:
        now, then = found.status, before.status
        owners = {(now.st_uid, now.st_gid), self._rules.owners.of(now.st_uid, now.st_gid)}
        if now.st_mode != then.st_mode or now.st_rdev != then.st_rdev:
            return True
        if (then.st_uid, then.st_gid) not in owners:
            return True
        if stat.S_ISDIR(now.st_mode):
            return False
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            return True
        return stat.S_ISREG(now.st_mode) and before.capability != _capability(found.parent, found.name)

    def _is_own(self, found: Found) -> bool:
        """An empty file or directory that pysup has made to mount something of its own on it."""
        if "/" + found.path not in self._rules.targets:
            return False
        if stat.S_ISREG(found.status.st_mode):
            return found.status.st_size == 0
        return stat.S_ISDIR(found.status.st_mode)


class _Entry(NamedTuple):
    status: os.stat_result
    capability: bytes | None


class _Below:
    """The layers below, as one tree."""

    def __init__(self, layers: Sequence[int]) -> None:
        self._layers = layers
        self._seen: dict[str, list[int]] = {"": list(range(len(layers)))}
        """In which layers a directory is one, and can be seen, topmost first."""

    def find(self, path: str) -> _Entry | None:
        """What is there, of the topmost layer that has it."""
        above, name = posixpath.split(path)
        for layer in self._having(above):
            with _below(self._layers[layer], above) as directory:
                status = _status_in(directory, name)
                if directory is None or status is None:
                    continue
                if whiteouts.hides(status):
                    return None
                return _Entry(status, _capability(directory, name) if stat.S_ISREG(status.st_mode) else None)
        return None

    def names(self, path: str) -> list[str]:
        """What is to be seen in a directory."""
        found: dict[str, bool] = {}
        for layer in self._having(path):
            with _below(self._layers[layer], path) as directory:
                for name in os.listdir(directory) if directory is not None else ():
                    if name not in found:
                        found[name] = not whiteouts.hides(os.lstat(name, dir_fd=directory))
        return [name for name, shown in found.items() if shown]

    def _having(self, path: str) -> list[int]:
        if path not in self._seen:
            above, name = posixpath.split(path)
            self._seen[path] = list(self._look(self._having(above), above, name))
        return self._seen[path]

    def _look(self, layers: Sequence[int], above: str, name: str) -> Iterator[int]:
        for layer in layers:
            with _below(self._layers[layer], above) as directory:
                status = _status_in(directory, name)
                if directory is None or status is None:
                    continue
                if not stat.S_ISDIR(status.st_mode):
                    return
                yield layer
                with _below(directory, name) as inside:
                    if inside is not None and whiteouts.is_opaque(inside):
                        return


@contextmanager
def _below(top: int, path: str) -> Iterator[int | None]:
    """A directory, reached through no link; None if there is none."""
    try:
        fd = mounts.openat2(top, path or ".", _DIRECTORY, resolve=paths.BELOW)
    except KernelError as error:
        if error.errno not in _GONE:
            raise
        yield None
        return
    with closing(fd):
        yield fd


def _status_in(directory: int | None, name: str) -> os.stat_result | None:
    """None: there is nothing of this name."""
    try:
        return None if directory is None else os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return None


def _capability(directory: int, name: str) -> bytes | None:
    """Of a file, which is not opened for it."""
    try:
        return os.getxattr(f"/proc/self/fd/{directory}/{name}", _CAPABILITY, follow_symlinks=False)
    except OSError:
        return None
