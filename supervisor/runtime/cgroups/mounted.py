"""Which cgroup hierarchies are mounted, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pysup.supervisor.kernel import mountinfo
from pysup.supervisor.runtime.cgroups.base import CONTROLLERS

_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mounted:
    """One hierarchy: where it is, and the controllers that it has (version 1; on 2 a file tells them)."""

    path: str
    controllers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path, by which a container finds it too."""
        return os.path.basename(self.path)


def parse(text: str) -> tuple[tuple[Mounted, ...], str]:
    """The version 1 hierarchies with useful controllers, and the mount point of version 2 ("": none).

    A hierarchy that is mounted in several places is taken once, at the first of them.
    """
    first: dict[tuple[str, ...], Mounted] = {}
    unified = ""
    for path, fstype, options in _lines(text):
        if fstype == "cgroup2":
            unified = unified or path
        elif fstype == "cgroup":
            controllers = tuple(name for name in options.split(",") if name in CONTROLLERS)
            first.setdefault(controllers, Mounted(path, controllers))
    return tuple(mounted for controllers, mounted in first.items() if controllers), unified


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Mount point, file system type and super block options of each mount."""
    for line in mountinfo.lines(text):
        before, _, after = line.partition(" - ")
        if after:
            fstype, _source, options = after.split(" ", 2)
            yield _ESCAPE.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4]), fstype, options


def find() -> tuple[tuple[Mounted, ...], str]:
    """The same for this process's mount namespace."""
    return parse(mountinfo.read())
