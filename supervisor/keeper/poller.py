"""Descriptors and what to do when they are ready: a thin layer on epoll(7)."""

from __future__ import annotations

import select
from collections.abc import Callable

Handler = Callable[[], None]


class Poller:
    """Calls a handler for each ready descriptor; a handler may add and remove others."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Handler] = {}
        self._writers: dict[int, Handler] = {}

    def watch(self, fd: int, handler: Handler) -> None:
        """Call the handler whenever ``fd`` is readable, or hung up."""
        self._readers[fd] = handler
        self._epoll.register(fd, select.EPOLLIN)

    def watch_changes(self, fd: int, handler: Handler) -> None:
        """Call the handler whenever what a file of /proc shows has changed (proc_pid_mountinfo(5))."""
        self._readers[fd] = handler
        self._epoll.register(fd, select.EPOLLPRI)

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor, before it is closed. One that is not watched is no error."""
        if self._readers.pop(fd, None) is not None:
            self._writers.pop(fd, None)
            self._epoll.unregister(fd)

    def watch_room(self, fd: int, handler: Handler | None) -> None:
        """Also call a handler when there is room to write; None: no more."""
        if fd not in self._readers or (handler is None and fd not in self._writers):
            return
        if handler is None:
            del self._writers[fd]
        else:
            self._writers[fd] = handler
        self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if handler else 0))

    def turn(self, timeout: float | None) -> None:
        """Wait for events, for at most ``timeout`` seconds, and handle them."""
        for fd, events in self._epoll.poll(timeout):
            writer = self._writers.get(fd) if events & select.EPOLLOUT else None
            if writer is not None:
                writer()
            reader = self._readers.get(fd) if events & ~select.EPOLLOUT else None
            if reader is not None:
                reader()
