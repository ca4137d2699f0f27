"""The parents of containers' cgroups: those made here are marked, and go when they are not needed any more.

One of --cgroup-parent goes with its last child; the daemon's own root (--cgroup-root) with the daemon, if it ends in
an orderly way.

The mark is an extended attribute of the directory itself (xattr(7), kernfs has them in both versions), so it holds
after any crash, and nothing that somebody else made is ever removed.
"""

from __future__ import annotations

import contextlib
import os

_MADE = "trusted.pysup"
_FOR_CHILDREN, _FOR_DAEMON = b"", b"daemon"


def make(directory: str) -> None:
    """mkdir with the mark. Raises OSError as mkdir(2); where there is no mark, the directory will stay."""
    _make(directory, _FOR_CHILDREN)


def make_for_daemon(directory: str) -> None:
    """The same for what stays until the daemon ends."""
    _make(directory, _FOR_DAEMON)


def _make(directory: str, mark: bytes) -> None:
    os.mkdir(directory, 0o755)
    with contextlib.suppress(OSError):
        os.setxattr(directory, _MADE, mark)


def remove_unused(directory: str) -> None:
    """Remove a parent, and its parents, as far as they are marked and empty."""
    _remove(directory, {_FOR_CHILDREN})


def remove_daemon_s(directory: str) -> None:
    """The same at the daemon's end, and its own root with them."""
    _remove(directory, {_FOR_CHILDREN, _FOR_DAEMON})


def _remove(directory: str, marks: set[bytes]) -> None:
    try:
        while os.getxattr(directory, _MADE) in marks:
            os.rmdir(directory)
            directory = os.path.dirname(directory)
    except OSError:  # most of them are somebody else's, or in use
        return
