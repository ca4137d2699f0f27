"""One client's view of a container's streams: it reads the log as it grows, and writes to stdin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from pysup.supervisor.engine.stdin import Stdin
from pysup.supervisor.logs.feed import Feed
from pysup.supervisor.logs.follow import raw_from
from pysup.supervisor.spec.container import Process


@dataclass(slots=True)
class RunEnd:
    """Where in the log the output of a run ends; None until it has ended."""

    offset: int | None = None


class Attachment:
    """From the moment of attaching to the end of the run (of the next one, if none is in progress)."""

    def __init__(self, process: Process, directory: str, feed: Feed, end: RunEnd, stdin: Stdin) -> None:
        self.tty = process.tty
        self.has_stdin = process.open_stdin
        self._stdin_once = process.stdin_once
        self._directory = directory
        self._feed = feed
        self._begin = feed.offset
        self._end = end
        self._stdin = stdin

    async def chunks(
        self, *, stdout: bool = True, stderr: bool = True, logs: bool = False, stream: bool = True
    ) -> AsyncIterator[tuple[int, bytes]]:
        """(1 stdout | 2 stderr, bytes); ``logs``: what was written before, too; ``stream``: what comes."""
        wanted = {number for number, chosen in ((1, stdout), (2, stderr)) if chosen}
        begin = 0 if logs else self._begin
        end = self._end if stream else RunEnd(self._begin)
        async for number, data in raw_from(self._directory, self._feed, begin, lambda: end.offset):
            if number in wanted:
                yield number, data

    async def write_stdin(self, data: bytes) -> None:
        """Write all of it, waiting for the run to start and to read."""
        await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """The client has no more input; it is the process's end of file only if it was to be this client's alone."""
        if self._stdin_once and not self.tty:
            await self._stdin.close()
