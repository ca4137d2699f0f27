"""Tells readers in the same process that a log has grown. It holds no bytes: the disk is the only buffer."""

from __future__ import annotations

import trio


class Feed:
    """One for each writer; any number of readers wait at it."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        """The logical offset of the end of the log."""
        self.closed = False
        self._waiting = trio.lowlevel.ParkingLot()
        self._closing = trio.lowlevel.ParkingLot()

    def grew(self, offset: int) -> None:
        """The log ends at ``offset`` now."""
        self.offset = offset
        self._waiting.unpark_all()

    def poke(self) -> None:
        """Let every reader look again: something else that it goes by may have changed."""
        self._waiting.unpark_all()

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
        self._waiting.unpark_all()
        self._closing.unpark_all()

    async def wait_beyond(self, offset: int) -> None:
        """Until the log is longer than ``offset``, or closed, or readers are poked: look what it was."""
        if self.offset > offset or self.closed:
            await trio.lowlevel.checkpoint()
        else:
            await self._waiting.park()

    async def wait_closed(self) -> None:
        """Until nothing more will come."""
        if not self.closed:
            await self._closing.park()
