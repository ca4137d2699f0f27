"""What a descriptor of a namespace tells of it (ioctl_ns(2))."""

from __future__ import annotations

import fcntl
import os

_NS_GET_USERNS = 0xB701


def identity(fd: int) -> tuple[int, int]:
    """Two descriptors are of the same namespace if these are equal: device and inode."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def owner(fd: int) -> tuple[int, int]:
    """The identity of the user namespace that has the power over a namespace.

    Raises PermissionError if it is neither the caller's own nor one below that.
    """
    user = fcntl.ioctl(fd, _NS_GET_USERNS)
    try:
        return identity(user)
    finally:
        os.close(user)
