"""Clients that leave while their answer is being made: one task watches them all, and cancels what is for nobody.

An epoll with an empty interest set reports EPOLLHUP alone: both directions of the connection are closed. A client
that has only shut its writing side down is still there (epoll_ctl(2), poll(2)).
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager

import trio


class Departures:
    """One for each server; watch() runs as long as it serves."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._scopes: dict[int, trio.CancelScope] = {}

    async def watch(self) -> None:
        """Cancel the scopes of those who leave."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for fd, _events in self._epoll.poll(0):
                    self._scopes[fd].cancel()
                    self._epoll.unregister(fd)
        finally:
            trio.lowlevel.notify_closing(self._epoll.fileno())
            self._epoll.close()

    @contextmanager
    def cancelling(self, fd: int, *, half_closes: bool) -> Iterator[trio.CancelScope]:
        """A scope that is cancelled when the client of this socket is gone for good.

        Not ``half_closes``: the end of what it sends is its departure. All that is seen of a TCP client that closes is
        that end (EPOLLRDHUP), until something is sent to it.
        """
        with trio.CancelScope() as scope:
            self._scopes[fd] = scope
            self._epoll.register(fd, 0 if half_closes else select.EPOLLRDHUP)
            try:
                yield scope
            finally:
                del self._scopes[fd]
                if not scope.cancel_called and not self._epoll.closed:
                    self._epoll.unregister(fd)
