"""Removing by their names what a container leaves that has written nothing: half the time of looking what there is.

Whatever else is in a directory stays, and so do the directories above it: trees.remove() is for that. No link is
followed, also where somebody has put one in the place of a directory of the daemon's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeAlias

from pysup.supervisor.descent import DIRECTORY
from pysup.supervisor.logs import files as logs
from pysup.supervisor.runtime.plan import ETC_FILES

_Tree: TypeAlias = "Mapping[str, _Tree | None]"
"""Directories with what is in them; None: a file."""

_USUAL: _Tree = {
    "etc": dict.fromkeys(ETC_FILES),
    "logs": dict.fromkeys((logs.index_name(1), logs.log_name(1))),
    "work": {"work": {"incompat": {"volatile": {"dirty": None}}}},
    "upper": {},
}
"""The deepest is of an overlay that is mounted ``volatile`` (kernel: filesystems/overlayfs)."""


def remove(directory: str) -> bool:
    """Whether the directory is gone."""
    try:
        _remove(None, directory, _USUAL)
    except OSError:
        return False
    return True


def _remove(above: int | None, name: str, usual: _Tree) -> None:
    """A directory, if it is there. Raises OSError if it is none, or is not empty then."""
    with suppress(FileNotFoundError):
        if usual:
            _empty(above, name, usual)
        os.rmdir(name, dir_fd=above)


def _empty(above: int | None, name: str, usual: _Tree) -> None:
    directory = os.open(name, DIRECTORY, dir_fd=above)
    try:
        for one, below in usual.items():
            if below is not None:
                _remove(directory, one, below)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(one, dir_fd=directory)
    finally:
        os.close(directory)
