"""Opening a file that somebody else has made: only once it is known to be one.

In a context, an image or a container there may be a device in its place, and opening that can do something by itself
(a watchdog starts).
"""

from __future__ import annotations

import os
import stat

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.images.directories import INSIDE
from pysup.supervisor.kernel.mounts import openat2
from pysup.supervisor.runtime.walking import reopened


def open_regular(root: int, path: str) -> int:
    """A descriptor for reading; links are followed within the root. Raises OSError, BadRequest for what is no file."""
    found = openat2(root, path, os.O_PATH, resolve=INSIDE)
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise BadRequest(f"cannot read {path[:200]!r}: it is neither a file nor a directory nor a link")
        return reopened(found)
    finally:
        os.close(found)


def read_text(root: int, path: str, limit: int) -> str:
    """The begin of a text file; empty if there is none."""
    try:
        fd = open_regular(root, path)
    except (OSError, BadRequest):
        return ""
    with open(fd, "rb") as file:
        return file.read(limit).decode("utf-8", "surrogateescape")
