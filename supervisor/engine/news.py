"""Tells whoever waits that something happened to a container, after it was committed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import trio


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
    subscriber's task was not scheduled: a slow network client never reads from here (it reads event rows).
    """

    def __init__(self) -> None:
        self._subscribers: set[trio.MemorySendChannel[Happening]] = set()

    def publish(self, happening: Happening) -> None:
        """Tell every subscriber; never blocks."""
        for channel in self._subscribers:
            channel.send_nowait(happening)

    @contextmanager
    def subscribe(self) -> Iterator[trio.MemoryReceiveChannel[Happening]]:
        """Everything published from now on."""
        send, receive = trio.open_memory_channel[Happening](math.inf)
        self._subscribers.add(send)
        try:
            yield receive
        finally:
            self._subscribers.discard(send)
            receive.close()
