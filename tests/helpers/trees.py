"""What is in a directory, to be compared."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def tree(top: Path) -> dict[str, object]:
    """Kind, mode, owner, content or target of all that is below it, by name."""
    found: dict[str, object] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif path.is_symlink():
            content = os.readlink(path)
        found[str(path.relative_to(top))] = (oct(status.st_mode), status.st_uid, status.st_gid, content)
    return found
