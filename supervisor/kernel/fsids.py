"""Making files as somebody else, in one thread: setfsuid(2), setfsgid(2), capget(2), capset(2).

In a file system that a user namespace has mounted, only who has an id there can make anything: root has none
(user_namespaces(7), EOVERFLOW).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from pysup.supervisor.kernel import libc

_VERSION_3 = 0x20080522
_HEADER = struct.Struct("=Ii")
_SETS = 24

_setfsuid = libc.bind("setfsuid", libc.c_uint)
_setfsgid = libc.bind("setfsgid", libc.c_uint)
_capset = libc.bind("capset", libc.c_void_p, libc.c_void_p)
_capget = libc.bind("capget", libc.c_void_p, libc.c_void_p)


@contextmanager
def making_as(uid: int, gid: int) -> Iterator[None]:
    """Within the block this thread's new files belong to these ids of the host; its capabilities stay in force."""
    header, sets = _HEADER.pack(_VERSION_3, 0), libc.buffer(_SETS)
    libc.check(_capget(header, sets), "capget")
    try:
        _setfsgid(gid)
        _setfsuid(uid)  # takes those away that have to do with files
        libc.check(_capset(header, sets), "capset")
        yield
    finally:
        _setfsuid(0)
        _setfsgid(0)
        libc.check(_capset(header, sets), "capset")
