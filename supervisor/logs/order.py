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


def watch(fds: Iterable[int]) -> select.epoll:
    """Lists descriptors in the order in which they became readable, each once for what came since the last look.

    What is left in one that was listed is not told again. Close it.
    """
    epoll = select.epoll()
    for fd in fds:
        epoll.register(fd, select.EPOLLIN | select.EPOLLET)
    return epoll


class Order:
    """Of the outputs of one process. Made before it writes anything: of what is there already the order is lost."""

    def __init__(self, outputs: Iterable[Output]) -> None:
        self.outputs = list(outputs)
        self._streams = {fd: stream for fd, stream, _ in self.outputs}
        self._epoll: select.epoll | None = None
        self._ready: list[int] = []

    def __enter__(self) -> Order:
        if len(self.outputs) > 1:
            self._epoll = watch(self._streams)
        return self

    def __exit__(self, *_details: object) -> None:
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def copy_earlier(self, fd: int, writer: LogWriter) -> None:
        """Copy what was written before that which made this descriptor ready. Its own turn is the caller's."""
        self._look()
        if fd not in self._ready:
            return
        at = self._ready.index(fd)
        earlier, self._ready = self._ready[:at], self._ready[at + 1 :]
        for other in earlier:
            with contextlib.suppress(OSError):  # empty by now, or the disk refuses: its own task will see
                writer.splice(other, self._streams[other])

    def of_the_rest(self) -> list[Output]:
        """When nobody copies any more: the outputs, in the order of what is left in them."""
        self._look()
        places = {fd: place for place, fd in enumerate(self._ready)}
        return sorted(self.outputs, key=lambda output: places.get(output[0], len(places)))

    def _look(self) -> None:
        if self._epoll is not None:
            self._ready += [fd for fd, _ in self._epoll.poll(0) if fd not in self._ready]
