"""The parents of containers' cgroups (--cgroup-parent): those made here are marked, and go with the last child.

The mark is an extended attribute of the directory itself (xattr(7), kernfs has them in both versions), so it holds
after any crash, and nothing that somebody else made is ever removed.
"""

from __future__ import annotations

import contextlib
import os

_MADE = "trusted.pysup"


def make(directory: str) -> None:
    """mkdir with the mark. Raises OSError as mkdir(2); where there is no mark, the directory will stay."""
    os.mkdir(directory, 0o755)
    with contextlib.suppress(OSError):
        os.setxattr(directory, _MADE, b"")


def remove_unused(directory: str) -> None:
    """Remove a parent, and its parents, as far as they are marked and empty."""
    try:
        while True:
            os.getxattr(directory, _MADE)
            os.rmdir(directory)
            directory = os.path.dirname(directory)
    except OSError:  # most of them are somebody else's, or in use
        return
