"""What was found out about a file system, for as long as the same mount is there."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import NamedTuple


class Finding(NamedTuple):
    """``lasts``: it is the file system that is so, and not the moment (a full disk, no memory)."""

    text: str
    lasts: bool


class OnMount:
    """The last finding that lasts, about the mount that a path lies in."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: tuple[tuple[int, int], str] | None = None

    async def ask(self, find: Callable[[], Awaitable[Finding]]) -> str:
        """What ``find`` says, now or earlier about the same mount. Raises OSError if the path is not there."""
        mount = mount_of(self._path)
        if self._found is not None and self._found[0] == mount:
            return self._found[1]
        found = await find()
        if found.lasts:
            self._found = (mount, found.text)
        return found.text


def mount_of(path: str) -> tuple[int, int]:
    """The id of the mount that a path lies in (proc_pid_fdinfo(5)), and its device: an id is used again."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file.read().splitlines())
        return int(fields["mnt_id"]), os.fstat(fd).st_dev
    finally:
        os.close(fd)
