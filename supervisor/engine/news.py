"""Tells whoever waits that something happened to a container, after it was committed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import trio

EVERYTHING = ""


class Happening(NamedTuple):
    """One committed event, as little of it as waiting needs; the event row has the rest."""

    kind: str
    """"container", "exec", "image", …"""
    subject: str
    """The id of the container, exec or image."""
    action: str
    """Docker's word: create, start, die, destroy, …"""
    exit_code: int = 0


class NewsDesk:
    """Publishes happenings to subscribers. A subscriber that falls behind delays nobody.

    The queues are unbounded, but what waits in them is one small tuple for each event of the time in which the
    subscriber's task was not scheduled. For a slow network client that may be days: it has its place in the event rows,
    and only wants to be woken up (``room``).
    """

    def __init__(self) -> None:
        self._subscribers: defaultdict[str, set[trio.MemorySendChannel[Happening]]] = defaultdict(set)
        """By the subject that they want to hear of."""

    def publish(self, happening: Happening) -> None:
        """Tell those who want to hear of it; never blocks."""
        for subject in (EVERYTHING, happening.subject):
            for channel in self._subscribers.get(subject, ()):
                with suppress(trio.WouldBlock):
                    channel.send_nowait(happening)

    @contextmanager
    def subscribe(
        self, subject: str = EVERYTHING, *, room: float = math.inf
    ) -> Iterator[trio.MemoryReceiveChannel[Happening]]:
        """What is published from now on, of one container, exec or image (its id) or of all.

        ``room``: how much of it may wait; what comes beyond that is lost.
        """
        send, receive = trio.open_memory_channel[Happening](room)
        self._subscribers[subject].add(send)
        try:
            yield receive
        finally:
            self._subscribers[subject].discard(send)
            if not self._subscribers[subject]:
                del self._subscribers[subject]
            receive.close()
