"""The store as the daemon sees it: one file, one writer, readers that wait for nobody.

async with Store.open(path) as store:
    await store.write(lambda conn: containers.update(conn, id, state="running"))   # durable
    row = containers.get(store.read(), id)                                         # sees it
    rows = await store.query(containers.list_containers)                           # many rows, in a thread
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from sqlite3 import Connection
from typing import TypeVar

import trio

from pysup.store.database import connect, open_or_create
from pysup.store.writer import Writer

T = TypeVar("T")

READERS = 4
"""Queries that run at the same time, each in a thread with a connection of its own."""


class Store:
    """Made by open()."""

    def __init__(self, path: str, writer: Writer) -> None:
        self.path = path
        self._writer = writer
        self._reader = connect(path, read_only=True)
        self._idle: list[Connection] = []
        self._limit = trio.CapacityLimiter(READERS)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: str) -> AsyncIterator[Store]:
        """Open or create the file, and migrate it. Raises CannotOpen, Corrupt, Newer (untouched then)."""
        conn = await trio.to_thread.run_sync(open_or_create, path)
        async with Writer(conn) as writer:
            store = cls(path, writer)
            try:
                yield store
            finally:
                store._close_readers()

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Change the store by ``fn(conn)``; durable when this returns. Errors, cancellation: Writer.write."""
        return await self._writer.write(fn)

    def read(self) -> Connection:
        """The event loop's own connection, for small lookups; sees everything that write() has returned from.

        Read-only. Take all rows of a statement at once: one left half-read would keep showing the past.
        """
        return self._reader

    async def query(self, fn: Callable[[Connection], T]) -> T:
        """Run ``fn(conn)`` in a thread, with a read-only connection, on one consistent state of the store."""
        return await trio.to_thread.run_sync(self._query, fn, limiter=self._limit)

    def _query(self, fn: Callable[[Connection], T]) -> T:
        with self._borrowed() as conn:
            conn.execute("BEGIN")
            try:
                return fn(conn)
            finally:
                conn.execute("ROLLBACK")

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        conn = self._idle.pop() if self._idle else connect(self.path, read_only=True)
        try:
            yield conn
        finally:
            self._idle.append(conn)

    def _close_readers(self) -> None:
        for conn in (self._reader, *self._idle):
            conn.close()
