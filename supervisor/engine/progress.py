"""News of many layers at once for one listener, who may be slow: only the latest of each is kept until it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeVar

import trio

from pysup.supervisor.errors import PysupError

T = TypeVar("T")
_PAUSE = 0.1
"""Seconds between two looks at how far all is."""


class Step(NamedTuple):
    """One line of news."""

    status: str
    """Docker's words: ``Downloading``, ``Pull complete``, …"""
    id: str = ""
    """Of a layer, twelve digits; empty where it is the whole that is spoken of."""
    current: int = 0
    """Bytes."""
    total: int = 0
    """Bytes; 0 where there is nothing to measure."""
    aux: Mapping[str, object] | None = None
    """For programs instead of people: what has come out."""


Send = Callable[[Step], Awaitable[None]]


class Progress:
    """Made by with_progress(); tell() never waits."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], Step] = {}
        self._some = trio.Event()
        self._ended = trio.Event()

    def tell(self, step: Step) -> None:
        """Something has happened; that a layer is at another byte replaces what was said of that before."""
        self._latest[step.id, step.status] = step
        self._some.set()

    def end(self) -> None:
        """There will be no more."""
        self._ended.set()
        self._some.set()

    async def send_all(self, send: Send) -> None:
        """Until end(). No line is broken off."""
        while not self._ended.is_set():
            await self._some.wait()
            await self._flush(send)
            with trio.move_on_after(_PAUSE):
                await self._ended.wait()
        await self._flush(send)

    async def _flush(self, send: Send) -> None:
        latest, self._latest, self._some = self._latest, {}, trio.Event()
        for step in latest.values():
            await send(step)


async def with_progress(send: Send, work: Callable[[Progress], Awaitable[T]]) -> T:
    """What ``work`` gives; all that it tells has been sent by then, also if it fails. Raises what it does."""
    progress = Progress()
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(progress.send_all, send)
        try:
            found = await work(progress)
        except (PysupError, OSError) as error:
            failure = error
        finally:
            progress.end()
    if failure is not None:
        raise failure
    return found
