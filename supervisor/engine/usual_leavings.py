"""Removing by their names what a container leaves that has written nothing: half the time of looking what there is.

Whatever else is in a directory stays, and so do the directories above it: trees.remove() is for that.
"""

from __future__ import annotations

import os
from contextlib import suppress

from pysup.supervisor.logs import files as logs
from pysup.supervisor.runtime.plan import ETC_FILES

_FILES = (
    *(f"etc/{name}" for name in ETC_FILES),
    f"logs/{logs.index_name(1)}",
    f"logs/{logs.log_name(1)}",
    "work/work/incompat/volatile/dirty",
)
"""The last one is of an overlay that is mounted ``volatile`` (kernel: filesystems/overlayfs)."""
_DIRECTORIES = (
    "etc",
    "logs",
    "work/work/incompat/volatile",
    "work/work/incompat",
    "work/work",
    "work",
    "upper",
    "",
)
"""Each after those in it."""


def remove(directory: str) -> bool:
    """Whether the directory is gone. Nobody but the daemon can put a link in the place of one of these directories."""
    try:
        for name in _FILES:
            with suppress(FileNotFoundError):
                os.unlink(f"{directory}/{name}")
        for name in _DIRECTORIES:
            with suppress(FileNotFoundError):
                os.rmdir(f"{directory}/{name}")
    except OSError:
        return False
    return True
