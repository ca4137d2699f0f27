"""One client's view of a container's streams: it reads the log as it grows, and writes to stdin."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pysup.supervisor.engine.containers.stdin import Stdin
from pysup.supervisor.logs.cursor import Chunk, told
from pysup.supervisor.logs.feed import Feed
from pysup.supervisor.logs.follow import raw_from
from pysup.supervisor.logs.reader import end_at
from pysup.supervisor.logs.records import GAP, STDERR, STDOUT
from pysup.supervisor.spec.container import Process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(slots=True)
class RunEnd:
    """Where in the log the output of a run ends; None until it has ended."""

    offset: int | None = None
    clients: int = 0
    """Those who are attached to it."""


class Attachment:
    """From the moment of attaching to the end of the run (of the next one, if none is in progress)."""

    def __init__(
        self, process: Process, directory: str, feed: Feed, end: RunEnd, stdin: Stdin, *, run: int
    ) -> None:
        self.tty = process.tty
        self.has_stdin = process.open_stdin
        self.run = run
        """The number of the run that it is attached to."""
        self.position = feed.offset
        """The offset in the log behind the last chunk that was given out."""
        self._since = time.time_ns()
        self._stdin_once = process.stdin_once
        self._directory = directory
        self._feed = feed
        self._end = end
        self._stdin = stdin

    def resume(self, position: int, ended_at: int | None) -> None:
        """Go on where another engine was; ``ended_at`` (ns): when the run ended, if it has."""
        self.position = position
        if ended_at is not None:
            self._end = RunEnd(end_at(self._directory, ended_at))

    async def chunks(
        self, *, stdout: bool = True, stderr: bool = True, logs: bool = False, stream: bool = True
    ) -> AsyncIterator[tuple[int, bytes]]:
        """(1 stdout | 2 stderr, bytes); ``logs``: what was written before, too; ``stream``: what comes.

        Where bytes were lost, that is told on stderr, as by logs; a terminal has one stream for all.
        """
        wanted = {STDOUT: stdout, STDERR: stderr, GAP: stdout if self.tty else stderr}
        begin = 0 if logs else self.position
        end = self._end if stream else RunEnd(self.position)
        chunks = raw_from(self._directory, self._feed, begin, lambda: end.offset)
        async with aclosing(cast("AsyncGenerator[tuple[Chunk, int]]", chunks)) as chunks:
            async for chunk, position in chunks:
                is_old = chunk.stream == GAP and position == begin and 0 < chunk.time < self._since
                self.position = position
                if wanted[chunk.stream] and not is_old:
                    yield self._shown(chunk)

    def _shown(self, chunk: Chunk) -> tuple[int, bytes]:
        if chunk.stream != GAP:
            return chunk.stream, chunk.data
        text = told(chunk.lost)
        return STDERR, text.replace(b"\n", b"\r\n") if self.tty else text

    async def write_stdin(self, data: bytes) -> None:
        """Write all of it, waiting for the run to start and to read."""
        await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """The client has no more input; it is the process's end of file only if it was to be this client's alone."""
        if self._stdin_once and not self.tty:
            await self._stdin.close()
