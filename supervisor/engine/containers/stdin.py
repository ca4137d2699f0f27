"""The writing side of a process: a pipe or a pty master that clients write to, whichever of them comes first."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import trio


class Stdin:
    """Waits for a process to write to, and forgets it when it ends. Writers are served one at a time."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._closer: Callable[[], Awaitable[None]] | None = None
        self._over = False
        self._changed = trio.Event()
        self._turn = trio.Lock()

    def connect(self, fd: int, closer: Callable[[], Awaitable[None]] | None) -> None:
        """A process is there. ``closer`` closes every copy of the descriptor (None: a terminal, never closed)."""
        os.set_blocking(fd, False)
        self._fd = fd
        self._closer = closer
        self._notify()

    def disconnect(self) -> None:
        """The process ended, or its stdin was closed: what is still being written is dropped."""
        self._fd = None
        self._closer = None
        self._notify()

    def end(self) -> None:
        """No process comes any more: all that is written from now on is dropped."""
        self._over = True
        self.disconnect()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def write(self, data: bytes) -> None:
        """Write all of it, waiting for the process to start and to read; dropped if it ends meanwhile."""
        async with self._turn:
            fd = await self._connected()
            view = memoryview(data)
            while view and fd is not None and self._fd == fd:
                try:
                    view = view[os.write(fd, view) :]
                except BlockingIOError:
                    if not await _writable(fd):
                        return
                except OSError:
                    return

    async def close(self) -> None:
        """End of file, after all that was written before; a terminal has none."""
        async with self._turn:
            await self._connected()
            closer = self._closer
            if closer is not None:
                self.disconnect()
                await closer()

    async def _connected(self) -> int | None:
        """The descriptor of the process; None: there will be none."""
        while self._fd is None and not self._over:
            await self._changed.wait()
        return self._fd


async def _writable(fd: int) -> bool:
    try:
        await trio.lowlevel.wait_writable(fd)
    except (trio.ClosedResourceError, OSError):
        return False
    return True
