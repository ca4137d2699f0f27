"""How many connections there may be at once, and who must go when one more comes: the one that is waited for longest.

A client that says nothing, or half a request, costs a place; once all are taken its place goes to the next that comes.
So those who connect and are slow, however many, keep nobody from being served. A connection whose request is being
answered, or that was given away to a process's streams, is never closed so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio


class Places:
    """One for each kind of listener, so that none takes another's."""

    def __init__(self, most: int) -> None:
        self._free = trio.Semaphore(most)
        self._waited_for: dict[trio.CancelScope, None] = {}
        """In the order in which the waits began."""

    async def take(self) -> None:
        """Wait for a place, and have one made free if that is possible."""
        if not self._free.value:
            self._make_room()
        await self._free.acquire()

    def give_back(self) -> None:
        """The connection is closed."""
        self._free.release()

    @contextmanager
    def waiting(self) -> Iterator[trio.CancelScope]:
        """A scope in which the client is to send something; cancelled if its place is needed."""
        with trio.CancelScope() as scope:
            self._waited_for[scope] = None
            if self._free.statistics().tasks_waiting:
                self._make_room()
            try:
                yield scope
            finally:
                self._waited_for.pop(scope, None)

    def _make_room(self) -> None:
        oldest = next(iter(self._waited_for), None)
        if oldest is not None:
            del self._waited_for[oldest]
            oldest.cancel()
