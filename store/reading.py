"""Reading the file from outside the daemon, whether one runs or not, without a way to write or to block it.

Light: `pysup query` imports it. In WAL mode a reader takes no lock that a writer waits for; all that a long read
delays is the log's reuse, so whoever reads much should read it to the end first and print it then.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from sqlite3 import Connection

from pysup.store.database import uri

ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
"""What a statement may do (sqlite.org/c3ref/c_alter_table.html); and PRAGMAs that only look."""
LOOKING = frozenset(
    {
        "foreign_key_check",
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
INTERRUPTIBLE_AFTER = 100_000
"""Steps of SQLite's machine (some milliseconds) after which Python may notice Ctrl-C."""


class Refused(Exception):
    """The statement would do more than read."""


class Reader:
    """A connection that answers one question at a time."""

    def __init__(self, path: str) -> None:
        """Raises OSError if the file cannot be read, sqlite3.Error if it is no database."""
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        self.behind = False
        """Changes that are still in the write-ahead log could not be read."""
        self._refused = False
        self.connection = self._connected(path)
        self.connection.set_progress_handler(_go_on, INTERRUPTIBLE_AFTER)

    def select(self, sql: str, values: dict[str, str] | None = None) -> sqlite3.Cursor:
        """Run one statement. Raises Refused, sqlite3.Error, KeyboardInterrupt."""
        self._refused = False
        self.connection.set_authorizer(self._judge)
        try:
            return self.connection.execute(sql, values or {})
        except sqlite3.DatabaseError as error:
            if self._refused:
                raise Refused("only reading is allowed") from error
            raise
        finally:
            self.connection.set_authorizer(None)

    def close(self) -> None:
        """End the read: the daemon's log can be reused from here on."""
        self.connection.close()

    def _connected(self, path: str) -> Connection:
        conn = sqlite3.connect(uri(path, "mode=ro"), uri=True, isolation_level=None)
        try:
            conn.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            conn.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_CANTOPEN:
                raise
            return self._unchanging(path)
        return conn

    def _unchanging(self, path: str) -> Connection:
        """No daemon has left a -shm file, and none can be made here: nobody writes, so no lock is needed."""
        with suppress(FileNotFoundError):
            self.behind = os.path.getsize(path + "-wal") > 0
        conn = sqlite3.connect(uri(path, "mode=ro&immutable=1"), uri=True, isolation_level=None)
        conn.execute("SELECT 1 FROM sqlite_schema").fetchone()
        return conn

    def _judge(self, action: int, first: str | None, second: str | None, *_where: str | None) -> int:
        if action in ALLOWED or (action == sqlite3.SQLITE_PRAGMA and (second is None or first in LOOKING)):
            return sqlite3.SQLITE_OK
        self._refused = True
        return sqlite3.SQLITE_DENY


def _go_on() -> int:
    """Called by SQLite now and then; that Python runs at all lets a pending Ctrl-C be raised."""
    return 0
