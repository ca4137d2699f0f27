"""The flags of chattr(1) that forbid to remove a file (FS_IOC_SETFLAGS(2const))."""

from __future__ import annotations

import fcntl
import struct

_GET = 0x80086601
"""FS_IOC_GETFLAGS, _IOR('f', 1, long); an int is what is read and written."""
_SET = 0x40086602
_IMMUTABLE = 0x10
_APPEND_ONLY = 0x20
_FLAGS = struct.Struct("=i4x")


def make_removable(fd: int) -> bool:
    """Clear "immutable" and "append only"; False if neither was set, or the file system has no such flags."""
    try:
        (flags,) = _FLAGS.unpack(fcntl.ioctl(fd, _GET, bytes(_FLAGS.size)))
    except OSError:
        return False
    cleared = flags & ~(_IMMUTABLE | _APPEND_ONLY)
    if cleared == flags:
        return False
    fcntl.ioctl(fd, _SET, _FLAGS.pack(cleared))
    return True
