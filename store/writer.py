"""The one writer: a thread that commits what the tasks of the event loop hand to it, in groups.

A commit with ``synchronous=FULL`` waits for the disk. While it waits, further changes queue up; they become
the next group, with one wait for all of them. Each change is a function that runs in a SAVEPOINT of its own,
so one that fails takes back only itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from sqlite3 import Connection
from threading import Thread
from types import TracebackType
from typing import Any, TypeVar

import outcome
import trio

from pysup.store.errors import StoreError
from pysup.store.scrubbing import RETRY, Scrubber

T = TypeVar("T")

LARGEST_GROUP = 256
"""Changes in one transaction: bounds how long the first one waits for the last."""
ENVIRONMENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""Primary result codes that are no fault of the change: the disk, the memory, another writer."""


class Change:
    """A function that changes the store, and what came of it."""

    __slots__ = ("done", "fn", "result")

    def __init__(self, fn: Callable[[Connection], Any]) -> None:
        self.fn = fn
        self.done = trio.Event()
        self.result: outcome.Outcome[Any] = outcome.Error(StoreError("cannot write the store: it is closed"))


class Writer:
    """An async context; owns the connection and the thread until it is left."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._scrubber = Scrubber(conn)
        self._queue: SimpleQueue[Change | None] = SimpleQueue()
        self._open = False

    async def __aenter__(self) -> Writer:
        self._token = trio.lowlevel.current_trio_token()
        self._ended = trio.Event()
        self._thread = Thread(target=self._serve, name="pysup store", daemon=True)
        self._thread.start()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what is queued, end the thread, close the connection."""
        self._open = False
        self._queue.put(None)
        with trio.CancelScope(shield=True):
            await self._ended.wait()
        self._thread.join()

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run ``fn(conn)`` in the writer thread, in a transaction; durable when this returns.

        An exception of ``fn`` takes back what it did and is raised here. Raises StoreError if the store could
        not be written; nothing of ``fn`` is there then. ``fn`` must not begin or end transactions, nor block.

        If the task is cancelled while it waits, the change is made all the same (or fails, unheard): wholly,
        either way. A task that is cancelled before changes nothing.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        change = Change(fn)
        if self._open:
            self._queue.put(change)
            await change.done.wait()
        result: T = change.result.unwrap()
        return result

    # -- in the thread ---------------------------------------------------------------------------------------

    def _serve(self) -> None:
        going = True
        while going:
            group, going = self._next_group()
            if group:
                commit(self._conn, group)
            self._scrubber.scrub(idle=not group)
            if group:
                self._tell(partial(settle, group))
        self._conn.close()
        self._tell(self._ended.set)

    def _next_group(self) -> tuple[list[Change], bool]:
        """Wait for one change and take those that wait already; False at the end. None at all: there is time."""
        group: list[Change] = []
        try:
            change = self._queue.get(timeout=RETRY if self._scrubber.due else None)
        except Empty:
            return [], True
        with suppress(Empty):
            while change is not None:
                group.append(change)
                if len(group) == LARGEST_GROUP:
                    return group, True
                change = self._queue.get_nowait()
        return group, change is not None

    def _tell(self, news: Callable[[], object]) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(news)


def settle(group: Sequence[Change]) -> None:
    """Wake those who wait."""
    for change in group:
        change.done.set()


def commit(conn: Connection, group: Sequence[Change]) -> None:
    """Make the changes in one transaction, or none of them, and note what came of each."""
    try:
        conn.execute("BEGIN IMMEDIATE")
        for change in group:
            change.result = attempt(conn, change.fn)
        conn.execute("COMMIT")
    except (sqlite3.Error, MemoryError) as error:  # SQLITE_NOMEM is a MemoryError to Python
        _roll_back(conn)
        for change in group:
            change.result = outcome.Error(StoreError(f"cannot write the store: {error}"))


def attempt(conn: Connection, fn: Callable[[Connection], T]) -> outcome.Outcome[T]:
    """Run one change in its savepoint. Raises what is no fault of the change: it concerns the whole group."""
    conn.execute("SAVEPOINT change")
    result = outcome.capture(fn, conn)
    if isinstance(result, outcome.Error):
        _raise_if_environment(result.error)
        conn.execute("ROLLBACK TO change")
    conn.execute("RELEASE change")
    return result


def _raise_if_environment(error: BaseException) -> None:
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in ENVIRONMENT:
        raise error


def _roll_back(conn: Connection) -> None:
    """SQLite has done so itself after some errors; a failing ROLLBACK leaves nothing to take back."""
    with suppress(sqlite3.Error, MemoryError):
        if conn.in_transaction:
            conn.execute("ROLLBACK")
