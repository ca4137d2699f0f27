"""What is at a path of a container, in the header that docker's clients read (moby api/types/container PathStat)."""

from __future__ import annotations

import base64
import json
import os
import stat

from pysup.supervisor.engine.files.copying import Stat
from pysup.supervisor.spec.timestamps import rfc3339

HEADER = "X-Docker-Container-Path-Stat"
_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


def path_stat(found: Stat) -> str:
    """Base64 of JSON."""
    document = {
        "name": found.name,
        "size": found.status.st_size,
        "mode": go_mode(found.status),
        "mtime": rfc3339(found.status.st_mtime_ns),
        "linkTarget": found.link_target,
    }
    return base64.b64encode(json.dumps(document).encode("utf-8", "surrogateescape")).decode()


def go_mode(status: os.stat_result) -> int:
    """Kind and permissions as Go's io/fs.FileMode has them."""
    mode = status.st_mode
    special = sum(value for bit, value in _BITS.items() if mode & bit)
    return _KINDS.get(stat.S_IFMT(mode), 0) | special | (mode & 0o777)
