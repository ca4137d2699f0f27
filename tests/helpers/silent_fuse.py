"""A program that shows a FUSE file system at /dev/shm of a mount namespace of its own, and never answers for it.

It says "ready" once that is there, and ends with its standard input. A container with CAP_SYS_ADMIN can do so.
With a directory as its argument it shows it there, in the mount namespace that it is in.
"""

from __future__ import annotations

import os
import select
import struct
import sys

from pysup.supervisor.kernel import mounts, process

INIT = struct.Struct("=IIII48x")
HEAD = struct.Struct("=IiQ")
"""Of linux/fuse.h; after the answer to FUSE_INIT a request is waited for uninterruptibly, once it was read."""
MOST = 1 << 17


def main() -> None:
    where = "".join(sys.argv[1:]) or "/dev/shm"
    if where not in sys.argv:
        process.unshare(process.CLONE_NEWNS)
        mounts.mount("none", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
    fuse = os.open("/dev/fuse", os.O_RDWR)
    mounts.mount("fuse", where, "fuse", 0, f"fd={fuse},rootmode=40000,user_id=0,group_id=0")
    (unique,) = struct.unpack_from("=Q", os.read(fuse, MOST), 8)
    os.write(fuse, HEAD.pack(HEAD.size + INIT.size, 0, unique) + INIT.pack(7, 31, 0, 0))
    print("ready", flush=True)
    poll = select.poll()
    for fd in (fuse, 0):
        poll.register(fd, select.POLLIN)
    while 0 not in dict(poll.poll()):
        os.read(fuse, MOST)


if __name__ == "__main__":
    sys.exit(main())
