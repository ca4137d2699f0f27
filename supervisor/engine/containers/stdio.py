"""A container's streams across its runs: the log that its output goes to, and the stdin that clients write to.

Output has one way: process -> pipe -> log file. Whoever is attached reads the file, so nobody who reads slowly
can slow a container, and nothing is lost while nobody reads.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from pysup.supervisor.engine.containers.attachment import Attachment, RunEnd
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.states import ALIVE, RESTING
from pysup.supervisor.engine.containers.stdin import Stdin
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Conflict, PysupError
from pysup.supervisor.kernel.terminal import set_window_size
from pysup.supervisor.logs import files
from pysup.supervisor.logs.feed import Feed
from pysup.supervisor.logs.order import Order
from pysup.supervisor.logs.pump import drain, pump
from pysup.supervisor.logs.writer import LogWriter
from pysup.supervisor.runtime.launch import Stdio

log = logging.getLogger(__name__)

RETURN_WITHIN = 10.0
"""Seconds within which a client that was attached comes back to a new engine: it tries at once, and is let in when the
engine serves, a second after the container was taken over, or more on a busy machine."""

SERVED_WITHIN = 1.0
"""Seconds within which a client that reads has been sent what a run wrote last."""


class ContainerStdio:
    """Owned by the container's task; attachments keep it alive while they last."""

    def __init__(self, parts: Parts, record: Record, wake: Callable[[], None]) -> None:
        self.attached = 0
        self.stdin = Stdin()
        self._parts = parts
        self._record = record
        self._wake = wake
        self._leaving = trio.lowlevel.ParkingLot()
        self._writer: LogWriter | None = None
        self._end = RunEnd()
        self._ended = (0, self._end)
        """The last run that has ended in this engine's time: its number, and where its output ends."""
        self._came = trio.Event()
        self._taken_over = False
        self._master: int | None = None

    def follow(self) -> Feed | None:
        """Where readers of the log wait for more; None while the container rests. Raises PysupError.

        An engine that has just come has not opened the log of what waits for its next run, or is on its way to one.
        """
        if self._writer is None and self._record.state in RESTING:
            return None
        return self._read_on()

    def _read_on(self) -> Feed:
        """Who reads on needs a log to begin in, also where nothing was written yet. Raises PysupError.

        What is written to may be elsewhere by now, if somebody has moved it.
        """
        try:
            writer = self.open_log()
            writer.begin()
            files.check_directory(self.directory)
        except OSError as error:
            name = self._record.row.name
            raise PysupError(f"cannot open the log of container {name}: {error.strerror}") from error
        return writer.feed

    @property
    def directory(self) -> str:
        """Where the log is."""
        return os.path.join(self._parts.settings.container_dir(self._record.id), "logs")

    @property
    def awaited(self) -> bool:
        """Whether somebody is attached who waits for the end of a run, this one or the next.

        Those who only read on what a run that is over has left keep nobody: they may never do it.
        """
        return self._end.clients > 0

    def open_log(self, *, patient: bool = False) -> LogWriter:
        """The log, opened (and mended after a crash) when it is first needed. Raises OSError.

        ``patient``: its output waits instead, as with a disk that refuses it. A container that an earlier engine has
        started is there, whatever its log is like.
        """
        if self._writer is None:
            settings, limits = self._parts.settings, self._record.spec.log
            self._writer = LogWriter.open(
                self.directory,
                max_size=limits.max_size or settings.log_max_size,
                max_files=limits.max_files or settings.log_max_files,
                on_blocked=self._report_blocked,
                budget=self._parts.logs,
                patient=patient,
            )
        return self._writer

    def _report_blocked(self, error: OSError | None) -> None:
        name = self._record.row.name
        if error is None:
            log.info("container %s: its output is written to the log again", name)
        else:
            log.error("cannot write the log of container %s: %s; its output waits", name, error.strerror)

    def close(self) -> None:
        """The container rests: those who follow the log come to its end."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    @asynccontextmanager
    async def connected(
        self, stdio: Stdio, order: Order, close_stdin: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[Callable[[], None]]:
        """Copy a run's output while the body runs; call what it yields to copy the rest, after the end."""
        writer = self.open_log(patient=True)
        if stdio.writable is not None:
            self.stdin.connect(stdio.writable, None if stdio.master is not None else close_stdin)
        self._master = stdio.master
        try:
            async with trio.open_nursery() as nursery:
                for fd, stream, relay in order.outputs:
                    nursery.start_soon(pump, fd, stream, writer, relay, order)
                yield lambda: _copy_rest(order, writer)
                nursery.cancel_scope.cancel()
        finally:
            self.stdin.disconnect()
            self._master = None

    def run_ended(self) -> None:
        """Nothing more comes from this run: those attached to it get the rest and are done."""
        end, self._end = self._end, RunEnd()
        end.offset = self._writer.offset if self._writer is not None else 0
        self._ended = (self._record.row.run_number, end)
        self._taken_over = False
        if self._writer is not None:
            self._writer.feed.poke()

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size (ioctl_tty(2), TIOCSWINSZ); the kernel sends SIGWINCH."""
        if self._master is None:
            raise Conflict(f"cannot resize container {self._record.row.name}: it has no running terminal")
        set_window_size(self._master, rows, columns)

    def _run_to_come(self) -> int:
        """The number of the run that is in progress, else of the next one."""
        number = self._record.row.run_number
        over = self._ended[0] == number or self._record.state not in ALIVE
        return number + 1 if over else number

    @contextmanager
    def attach(self, run: int | None = None) -> Iterator[Attachment]:
        """Everything from now to the end of the run (of the next one, if none is in progress; or of a certain one).

        Raises PysupError where there is no room for its log.
        """
        feed = self._read_on()
        end = self._ended[1] if self._ended[0] == run else self._end
        self.attached += 1
        end.clients += 1
        self._came.set()
        try:
            yield Attachment(
                self._record.spec.process,
                self.directory,
                feed,
                end,
                self.stdin,
                run=run or self._run_to_come(),
            )
        finally:
            self.attached -= 1
            end.clients -= 1
            self._leaving.unpark_all()
            self._wake()

    def taken_over(self) -> None:
        """An earlier engine had this run in progress: who was attached to it may come back, until run_ended()."""
        self._taken_over = True

    async def clients_returned(self) -> None:
        """Before the end of what was taken over is told: wait a little for somebody who was attached to come back.

        With --rm nothing is left of the container after its end, and nobody could come back to it.
        """
        if not (self._taken_over and self._record.spec.auto_remove):
            return
        config = json.loads(self._record.row.config)
        if config.get("AttachStdout") or config.get("AttachStderr"):
            with trio.move_on_after(RETURN_WITHIN):
                await self._came.wait()

    async def clients_served(self) -> None:
        """After run_ended(): until those who were attached to that run have been sent all of its output.

        With --rm it goes with the end, and could be sent by no other engine. Who reads slowly keeps nobody for long.
        """
        with trio.move_on_after(SERVED_WITHIN):
            while self._ended[1].clients:
                await self._leaving.park()

    async def unattended(self) -> None:
        """Wait until nobody is attached."""
        while self.attached:
            await self._leaving.park()


def _copy_rest(order: Order, writer: LogWriter) -> None:
    """All writers are dead: what the pipes still hold is all there will ever be."""
    for fd, stream, relay in order.of_the_rest():
        left = drain(fd, stream, writer, relay)
        if left:
            writer.gap(left)
