"""The files of a log directory, by descriptor of the directory: no name is ever followed out of it."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable

_LOG = re.compile(r"([0-9]{8,18})\.log")
_MODE = 0o640


def open_directory(path: str) -> int:
    """A descriptor of a log directory. Raises OSError, also if the last part of the path is a link."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def check_directory(path: str) -> None:
    """Raises OSError if there is something that is not a log directory; none is an empty log."""
    try:
        os.close(open_directory(path))
    except FileNotFoundError:
        return


def log_name(number: int) -> str:
    """The file with the bytes; padded, so that ``cat *.log`` is in order."""
    return f"{number:08d}.log"


def index_name(number: int) -> str:
    """The file with the records."""
    return f"{number:08d}.idx"


def numbers(directory: int) -> list[int]:
    """The segments that exist, oldest first: a segment exists when its log does."""
    return _numbers(os.listdir(directory))


def _numbers(names: Iterable[str]) -> list[int]:
    return sorted(int(match[1]) for match in map(_LOG.fullmatch, names) if match)


def newest(path: str) -> str:
    """The path of the file that a log directory's container writes to; empty where nothing was written yet.

    Where the directory cannot be opened, too: that is for who reads the log to know.
    """
    try:
        directory = open_directory(path)
    except OSError:
        return ""
    try:
        found = numbers(directory)
    finally:
        os.close(directory)
    return os.path.join(path, log_name(found[-1])) if found else ""


def open_file(directory: int, name: str, flags: int) -> int:
    """Open a regular file of the directory itself: no link is followed, no FIFO is waited for."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(name, flags, _MODE, dir_fd=directory)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return fd


def unlink(directory: int, name: str) -> int:
    """Remove a file, if it is there; the bytes that this gives back."""
    try:
        size = os.stat(name, dir_fd=directory, follow_symlinks=False).st_size
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return 0
    return size


def unlink_segment(directory: int, number: int) -> int:
    """Remove a segment; the bytes that this gives back.

    The log goes first: an index without a log is nothing to anybody, a log without its index would be bytes
    of unknown times and streams.
    """
    return unlink(directory, log_name(number)) + unlink(directory, index_name(number))


def without_orphans(directory: int) -> list[int]:
    """As numbers(); indexes whose logs are gone, or never came to be, are removed: a crash was between the two."""
    names = os.listdir(directory)
    found = _numbers(names)
    kept = {index_name(number) for number in found}
    for name in names:
        if name.endswith(".idx") and name not in kept:
            unlink(directory, name)
    return found
