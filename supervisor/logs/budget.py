"""What the logs of all containers together may take: an account of what is written, and an alarm.

Removing segments is retention's work. The account is exact when it has looked, and grows with each chunk until it
looks again, which it does in time: the alarm comes when a sixteenth of the whole is left.
"""

from __future__ import annotations

import os
import time
from typing import Protocol

import trio

from pysup.supervisor.logs import files
from pysup.supervisor.logs.active import create
from pysup.supervisor.logs.recovery import open_newest


class Rotating(Protocol):
    """A writer, as the budget knows it."""

    def retire(self, number: int) -> bool:
        """End the segment of this number, if it is the one that is written to and has something in it."""


class Budget:
    """One for each daemon; all its logs are opened with it."""

    def __init__(self, total: int) -> None:
        """``total``: bytes of logs and indexes."""
        self._total = total
        self._used = 0
        self._alarm_at = total - total // 16
        self._alarm = trio.Event()
        self._writers: dict[str, Rotating] = {}

    @property
    def goal(self) -> int:
        """What retention brings the logs down to, so that it need not look at every chunk."""
        return self._total - self._total // 8

    def opened(self, directory: str, writer: Rotating) -> None:
        """A log is written from now on."""
        self._writers[directory] = writer

    def closed(self, directory: str) -> None:
        """It rests."""
        self._writers.pop(directory, None)

    def grew(self, count: int) -> None:
        """A log and its index have so many bytes more."""
        self._used += count
        if self._used > self._alarm_at:
            self._alarm.set()

    def measured(self, used: int) -> None:
        """So much there is. What could not be freed raises no alarm before as much again was written."""
        step = self._total // 16
        self._used, self._alarm_at = used, max(self._total - step, used + step)
        self._alarm = trio.Event()

    async def wait_alarm(self) -> None:
        """Until the total is nearly reached."""
        await self._alarm.wait()

    def retire(self, directory: str, number: int) -> bool:
        """Make the newest segment of a log an old one; False if it is not, or is empty. Raises OSError.

        In the event loop, where writers are opened: nobody begins to write to it meanwhile.
        """
        writer = self._writers.get(directory)
        return writer.retire(number) if writer is not None else _retire_at_rest(directory, number)


def _retire_at_rest(directory: str, number: int) -> bool:
    """Put an empty segment behind it, which keeps the count of the container's bytes."""
    fd = files.open_directory(directory)
    try:
        segment = open_newest(fd, time.time_ns())
        try:
            if segment.number != number or not segment.size:
                return False
            create(fd, number + 1, segment.end, time.time_ns()).close()
        finally:
            segment.close()
    finally:
        os.close(fd)
    return True
