"""Event rows as a stream: read from the store after the last id seen, whenever something was published.

Nothing is buffered for a client, not even that something has happened: one that reads slowly just asks the store later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import trio

from pysup.store import events
from pysup.store.events import Event
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.parts import Parts


class EventFeed:
    """One client's place in the events. Use: ``while (rows := await feed.more()) is not None``."""

    def __init__(
        self,
        parts: Parts,
        happenings: trio.MemoryReceiveChannel[Happening],
        since_ns: int | None,
        until_ns: int | None,
        after: int | None,
    ) -> None:
        self._parts = parts
        self._happenings = happenings
        self.last = events.last_id(parts.store.read()) if after is None else after
        """The id of the last event that was given out, or that was there before."""
        self._since_ns = since_ns
        self._until_ns = until_ns
        self._past_told = since_ns is None or after is not None

    async def more(self) -> list[Event] | None:
        """The next rows, the oldest first, waiting for some; None when ``until`` has come."""
        if not self._past_told:
            self._past_told = True
            return await self._past()
        with trio.move_on_after(self._seconds_left()):
            while True:
                rows = events.after(self._parts.store.read(), self.last)
                if rows:
                    self.last = rows[-1].id
                    return rows
                await self._happenings.receive()
        return None

    async def _past(self) -> list[Event]:
        between = partial(events.between, since=self._since_ns, until=self._until_ns)
        rows = await self._parts.store.query(between)
        self.last = max([self.last, *(row.id for row in rows)])
        return rows

    def _seconds_left(self) -> float:
        if self._until_ns is None:
            return math.inf
        return max(0.0, (self._until_ns - self._parts.now_ns()) / 1e9)


@contextmanager
def event_feed(
    parts: Parts, since_ns: int | None, until_ns: int | None, after: int | None = None
) -> Iterator[EventFeed]:
    """The events from ``since`` (None: from now on) to ``until`` (None: for ever), both inclusive.

    ``after``: those with a greater id, instead of ``since``.
    """
    with parts.news.subscribe(room=1) as happenings:  # one is enough to look again
        yield EventFeed(parts, happenings, since_ns, until_ns, after)
