"""Room in the write-ahead log that is the file's own before it is needed.

A container that has filled the disk must still be stopped and removed, and each of these is a commit.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from sqlite3 import Connection

SIZE = 8 << 20
"""Bytes. The log is begun anew when it has 1000 pages (4 MiB), so at least half of these are left, some 100 commits."""


def reserve(conn: Connection) -> None:
    """Have the log's blocks allocated. What is behind its last commit is no commit: SQLite reads zeros as its end.

    A disk that has little room, and a file system that allocates nothing ahead, are left as they are.
    """
    _, _, path = conn.execute("PRAGMA database_list").fetchone()
    with suppress(OSError, sqlite3.Error):
        conn.execute("BEGIN IMMEDIATE")  # nobody else writes to it meanwhile
        try:
            _allocate(f"{path}-wal")
        finally:
            conn.execute("ROLLBACK")


def _allocate(path: str) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        disk = os.fstatvfs(fd)
        if disk.f_bavail * disk.f_frsize > 2 * SIZE:
            os.posix_fallocate(fd, 0, SIZE)
    finally:
        os.close(fd)
