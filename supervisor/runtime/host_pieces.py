"""The host image of a daemon without root: its directories one by one, since ``/`` itself cannot be a layer there.

In a user namespace every mount that was there before is locked, and overlayfs refuses a layer with locked mounts
below it (mount_namespaces(7)). So each directory without a mount below it is an overlay of its own, and what lies
above them is a skeleton: empty directories, links, and copies of small files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence

_LARGEST_COPY = 1 << 20
"""Bytes; a file that lies beside a mount point, like /etc/hosts in a container, is mostly a small one."""


def pieces(top: str, points: Sequence[str], left_out: Sequence[str], skeleton: str) -> Iterator[str]:
    """Directories below ``top`` that are layers, parents never; the skeleton is made on the way, and only grows.

    One that may not be read, like root's home, is empty in the container, and its own.
    ``points``: all mount points; ``left_out``: directories of which nothing is shown.
    """
    for name in sorted(_names(top)):
        path = os.path.join(top, name)
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            _show(path, status, skeleton + path)
            continue
        _make(skeleton + path, stat.S_IMODE(status.st_mode))
        if path in left_out:
            continue
        if any(point.startswith(f"{path}/") for point in points):
            yield from pieces(path, points, left_out, skeleton)
        elif os.access(path, os.R_OK | os.X_OK):
            yield path


def _names(directory: str) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(directory)
    return []


def _make(path: str, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        os.chmod(path, mode | stat.S_IRWXU)


def _show(path: str, status: os.stat_result, copy: str) -> None:
    """A link, or a copy of a file; what may not be read is not shown."""
    with contextlib.suppress(OSError):
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(path), copy)
        elif stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST_COPY:
            shutil.copy2(path, copy)
