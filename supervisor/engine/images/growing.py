"""A file that is read while it grows: a blob on its way, unpacked before the last of it has come.

Whoever downloads tells how far the file is; a thread reads behind. What is read has not been verified: the reader
may be led astray until the end, and what it makes of it must be verified by itself (a layer is, by its diff-id).
"""

from __future__ import annotations

import errno
import io
import os
from threading import Condition
from typing import Any

import trio

_LOOK = 0.2
"""Seconds between two looks whether the reader's task was cancelled."""


class Growing(io.RawIOBase):
    """``grown()`` and ``end()`` in one thread, ``readinto()`` in another."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._at = 0
        self._size = 0
        self._over = False
        self._torn = False
        self._changed = Condition()

    # -- for whoever writes ----------------------------------------------------------------------------------

    def grown(self, size: int) -> None:
        """The file has this many bytes; fewer than before: it was begun anew, and this reader can go on no more."""
        with self._changed:
            self._torn = self._torn or size < self._size
            self._size = size
            self._changed.notify()

    def end(self, *, whole: bool) -> None:
        """There will be no more: all is there, or it is given up."""
        with self._changed:
            self._over, self._torn = True, self._torn or not whole
            self._changed.notify()

    # -- for whoever reads -----------------------------------------------------------------------------------

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer
        """As RawIOBase; waits for what has not come yet. Raises OSError (ESTALE) where it will not, trio.Cancelled."""
        left = self._wait()
        if not left:
            return 0
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        count = os.preadv(self._fd, [memoryview(buffer)[:left]], self._at)
        self._at += count
        return count

    def _wait(self) -> int:
        """How many bytes can be read now; 0 at the end."""
        while True:
            trio.from_thread.check_cancelled()
            with self._changed:
                if self._torn:
                    raise OSError(errno.ESTALE, "the blob was not downloaded as a whole", self._path)
                if self._size > self._at or self._over:
                    return self._size - self._at
                self._changed.wait(_LOOK)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        super().close()
