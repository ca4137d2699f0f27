"""What is left of a removed secret in the file and its log: nothing, once its removal has been told.

A page that a row is deleted from, or that becomes free, is overwritten (``secure_delete``, database.py). Older pages
stand in the write-ahead log until that is truncated, which is done here. While somebody (``pysup query``) still reads
an older state that cannot be: then it is tried again, and nobody waits for it.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from sqlite3 import Connection

from pysup.store.reserve import reserve

RETRY = 1.0
"""Seconds until the next try."""
_TRIGGER = """
CREATE TEMP TRIGGER secret_removed AFTER DELETE ON main.secret BEGIN
    SELECT note_removed_secret();
END
"""
"""This connection's own: no other program that writes to the file would have the function."""


class Scrubber:
    """Belongs to the writing connection, and its thread."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._noted = False
        self.due = True
        """Something may be left: at first, since an earlier daemon may have been killed before it got to this."""
        conn.create_function("note_removed_secret", 0, self._note)
        conn.execute(_TRIGGER)

    def _note(self) -> None:
        self._noted = self.due = True

    def scrub(self, *, idle: bool) -> None:
        """Between two transactions: at once if a secret was removed just now, else when there is nothing to do."""
        if self._noted or (idle and self.due):
            self._noted = False
            with suppress(sqlite3.Error, MemoryError):  # a full disk: later, then
                self.due = not self._truncate()

    def _truncate(self) -> bool:
        (patience,) = self._conn.execute("PRAGMA busy_timeout").fetchone()
        self._conn.execute("PRAGMA busy_timeout = 0")
        try:
            busy, _frames, _moved = self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._conn.execute(f"PRAGMA busy_timeout = {patience}")
        if not busy:
            reserve(self._conn)
        return not busy
