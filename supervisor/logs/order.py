"""Which of a process's two pipes was written to first: as much of the order of writing as two pipes keep.

An epoll instance lists descriptors in the order in which they became ready (its ready list, epoll(7); edge-triggered,
so that each write after the last look counts). The tasks that copy are woken in no particular order, so the first
that is lets what came before its own chunk go first. What was written to one pipe twice, with something to the other
in between, before anybody looked, has lost its place.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterable

from pysup.supervisor.logs.sources import Relay
from pysup.supervisor.logs.writer import LogWriter

Output = tuple[int, int, Relay | None]
"""Descriptor, stream, relay pipe of a terminal."""


class Order:
    """Of the outputs of one process, inside the with block; behind it, ``outputs`` are in the order of what is left."""

    def __init__(self, outputs: Iterable[Output]) -> None:
        self.outputs = list(outputs)
        self._streams = {fd: stream for fd, stream, _ in self.outputs}
        self._epoll: select.epoll | None = None
        self._ready: list[int] = []

    def __enter__(self) -> Order:
        if len(self.outputs) > 1:
            self._epoll = select.epoll()
            for fd in self._streams:
                self._epoll.register(fd, select.EPOLLIN | select.EPOLLET)
        return self

    def __exit__(self, *_details: object) -> None:
        if self._epoll is not None:
            self._look(self._epoll)
            self._epoll.close()
            self._epoll = None
            places = {fd: place for place, fd in enumerate(self._ready)}
            self.outputs.sort(key=lambda output: places.get(output[0], len(places)))

    def copy_earlier(self, fd: int, writer: LogWriter) -> None:
        """Copy what was written before that which made this descriptor ready. Its own turn is the caller's."""
        if self._epoll is None:
            return
        self._look(self._epoll)
        if fd not in self._ready:
            return
        at = self._ready.index(fd)
        earlier, self._ready = self._ready[:at], self._ready[at + 1 :]
        for other in earlier:
            with contextlib.suppress(OSError):  # empty by now, or the disk refuses: its own task will see
                writer.splice(other, self._streams[other])

    def _look(self, epoll: select.epoll) -> None:
        self._ready += [fd for fd, _ in epoll.poll(0) if fd not in self._ready]
