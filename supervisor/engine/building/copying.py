"""Copies of files and directories as COPY wants them: owners and modes chosen or kept. Everything blocks."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field

from pysup.supervisor.engine.building.sources import READ
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.runtime import trees
from pysup.supervisor.volumes.copying import Inode, Owners, copy_content, make_alike

MADE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_KEPT = 256
"""Files with several names whose copies are remembered at once; more of them become files of their own."""


@dataclass(frozen=True, slots=True)
class Chosen(Owners):
    """Whose the copies are to be: one owner for all; None: whoever's the source is."""

    owner: tuple[int, int] | None = None

    def of(self, uid: int, gid: int) -> tuple[int, int]:
        """That of everything."""
        return (uid, gid) if self.owner is None else self.owner


@dataclass(slots=True)
class Copying:
    """One tree or file on its way."""

    owners: Owners
    mode: int | None
    links: dict[Inode, int] = field(default_factory=dict)
    """Files with several names: a descriptor of the copy."""

    def entries(self, here: int, there: int, names: list[str], known: Collection[str]) -> list[str]:
        """Copy what is in a directory; the names of the directories that were made, and are to be filled.

        ``known``: names of directories that the image has there, or of links that lead to one.
        """
        made = []
        for name in names:
            status = os.lstat(name, dir_fd=here)
            if not stat.S_ISDIR(status.st_mode):
                self._entry(here, there, name, status)
            elif name not in known:
                self._make_directory(there, name)
                made.append(name)
        return made

    def _make_directory(self, there: int, name: str) -> None:
        refuse_whiteout(name)
        make_room(there, name)
        os.mkdir(name, 0o700, dir_fd=there)

    def _entry(self, here: int, there: int, name: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            self._special(here, there, name, status)
            return
        first = self.links.get((status.st_dev, status.st_ino))
        if first is not None:
            make_room(there, name)
            os.link(f"/proc/self/fd/{first}", name, dst_dir_fd=there, follow_symlinks=True)
            return
        fd = os.open(name, READ, dir_fd=here)
        try:
            self.regular(fd, there, name)
        finally:
            os.close(fd)
        if status.st_nlink > 1 and len(self.links) < _MOST_KEPT:
            self.links[status.st_dev, status.st_ino] = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=there)

    def close(self) -> None:
        """Let go of the copies of files with several names."""
        while self.links:
            os.close(self.links.popitem()[1])

    def regular(self, source: int, parent: int, name: str) -> None:
        """Copy an open file."""
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise BadRequest(f"cannot copy {name[:200]!r}: it is neither a file nor a directory nor a link")
        refuse_whiteout(name)
        make_room(parent, name)
        made = os.open(name, MADE, 0o600, dir_fd=parent)
        try:
            copy_content(source, made)
            self.like(source, made)
        finally:
            os.close(made)

    def like(self, source: int, made: int) -> None:
        """Owner, mode, attributes, times."""
        make_alike(source, made, self.owners)
        if self.mode is not None:
            os.fchmod(made, self.mode)

    def _special(self, here: int, there: int, name: str, status: os.stat_result) -> None:
        """Links, devices, FIFOs and sockets: they are never opened."""
        refuse_whiteout(name)
        make_room(there, name)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=here), name, dir_fd=there)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=there)
        owner = self.owners.of(status.st_uid, status.st_gid)
        os.chown(name, *owner, dir_fd=there, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=there)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=there, follow_symlinks=False)


def refuse_whiteout(name: str) -> None:
    """Raises BadRequest."""
    if name.startswith(".wh."):
        raise BadRequest(f"cannot copy {name[:200]!r}: in a layer such a name takes another file away")


def make_room(parent: int, name: str) -> None:
    """Remove what has this name, whatever it is."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            trees.remove(f"/proc/self/fd/{parent}/{name}")
        else:
            os.unlink(name, dir_fd=parent)
