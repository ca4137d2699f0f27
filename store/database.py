"""Opening the one file: its pragmas, and all the ways in which it can be unfit, told before it is touched."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from sqlite3 import Connection

from pysup.store.errors import CannotOpen, Corrupt, Newer
from pysup.store.migrations import Version, migrate, version_of
from pysup.store.reserve import reserve

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another writer (a person's sqlite-utils); readers never wait in WAL mode."""
CHECKED_SIZE = 32 << 20
"""Bytes up to which the whole file is checked when it is opened; more would delay the start too long."""
DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


def uri(path: str, how: str) -> str:
    """SQLite's name for a file (sqlite.org/uri.html): what would end the path in it is escaped."""
    escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{escaped}?{how}"


def connect(path: str, *, read_only: bool = False) -> Connection:
    """A connection in autocommit mode, usable in any thread, but in one at a time."""
    conn = sqlite3.connect(
        uri(path, "mode=ro" if read_only else "mode=rw"),
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        _configure(conn, read_only=read_only)
    except BaseException:
        conn.close()
        raise
    return conn


def _configure(conn: Connection, *, read_only: bool) -> None:
    if read_only:
        conn.execute("PRAGMA query_only = ON")
        return
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute(
        "PRAGMA secure_delete = ON"
    )  # of removed secrets nothing is left, not even sealed (scrubbing.py)
    conn.execute(f"PRAGMA journal_size_limit = {CHECKED_SIZE}")


def open_or_create(path: str) -> Connection:
    """The writing connection to a database of the current version.

    Raises CannotOpen, Corrupt or Newer; the file is then byte for byte as it was.
    """
    with _explained(path):
        _create_if_missing(path)
        version = _inspect(path)
        conn = connect(path)
        try:
            _claim(conn)
            if not version.current:
                migrate(conn)
            reserve(conn)
        except BaseException:
            conn.close()
            raise
        return conn


def _create_if_missing(path: str) -> None:
    # For root alone: the rows hold the environments of containers. SQLite gives -wal and -shm the same mode.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _inspect(path: str) -> Version:
    """Look at it through a connection that cannot write."""
    with closing(connect(path, read_only=True)) as conn:
        version = version_of(conn)
        if not version.ours:
            raise Corrupt(path, "it is the database of another program")
        if version.unknown:
            raise Newer(path, f"a newer pysup made it (migration {version.unknown[-1]} is not known here)")
        if os.path.getsize(path) <= CHECKED_SIZE:
            _check(conn, path)
        return version


def _check(conn: Connection, path: str) -> None:
    (verdict,) = conn.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Corrupt(path, f"the database is damaged: {verdict}")


def _claim(conn: Connection) -> None:
    """Find out now whether it can be written (a read-only file system, a lock held by somebody)."""
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("ROLLBACK")


_NO_FILE_SYSTEM = "its disk fails, or has a file system without what a database needs (shared maps, locks)"


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in DAMAGED:
            raise Corrupt(path, str(error)) from error
        if code == sqlite3.SQLITE_IOERR:
            raise CannotOpen(path, f"{error} ({error.sqlite_errorname}): {_NO_FILE_SYSTEM}") from error
        raise CannotOpen(path, _cause(path) or str(error)) from error
    except OSError as error:
        raise CannotOpen(path, error.strerror or str(error)) from error


def _cause(path: str) -> str:
    """SQLite says only "unable to open database file": ask the kernel why."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror or ""
    return ""
