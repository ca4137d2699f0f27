"""Where output comes from: a pipe, or a terminal's master through a relay pipe. Non-blocking, in the kernel."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import struct
import termios
from functools import cached_property
from typing import Protocol

from pysup.supervisor.logs.writer import CHUNK, LogWriter

Relay = tuple[int, int]
"""(read end, write end) of the pipe between a terminal and the log."""

TTY_READ = 4 << 10
"""What a terminal gives at once (N_TTY_BUF_SIZE of the kernel); splice(2) sets aside pages for all it asks."""
TTY_CHUNK = 64 << 10
"""What a relay of the default size holds: sixteen pages, each filled by one read."""
LARGE = 80 << 10
"""Of a wide pipe. Measured: with less, a writer of small blocks and the pump fall into step at 40 KiB a time."""


class Source(Protocol):
    """What the pump copies from."""

    fd: int
    """To wait on until it is readable."""

    @property
    def large(self) -> int:
        """Bytes of a chunk that pays for its wake-up; if the pump rested now, the source would soon be full."""

    def copy(self, writer: LogWriter, stream: int) -> int:
        """Move one chunk; 0 at the end. BlockingIOError: nothing there; other OSError: the disk refuses."""

    def pending(self) -> int:
        """Bytes that could be moved now."""

    def widen(self) -> None:
        """Chunks are large: hold more at once, if that can be."""


def pending(fd: int) -> int:
    """Bytes that wait in a pipe or terminal. FIONREAD of ioctl_tty(2), pipe(7)."""
    (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
    return int(count)


def _is_at_end(fd: int) -> bool:
    """Whether nothing is in a pipe, and nobody can write to it any more (POLLHUP of poll(2)).

    In the other order: what is written between the two looks, by one who then leaves, would be left behind.
    """
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0)) and not pending(fd)


class PipeSource:
    """The read end of a container's stdout or stderr."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @cached_property
    def large(self) -> int:
        """Half of what it holds."""
        return fcntl.fcntl(self.fd, fcntl.F_GETPIPE_SZ) // 2

    def copy(self, writer: LogWriter, stream: int) -> int:
        """One splice(2). A disk that refuses even the record must not hide the end of the pipe.

        The end alone is no reason to begin a log.
        """
        if not writer.has_begun and _is_at_end(self.fd):
            return 0
        try:
            return writer.splice(self.fd, stream)
        except BlockingIOError:
            raise
        except OSError:
            if not _is_at_end(self.fd):
                raise
            return 0

    def pending(self) -> int:
        """Bytes in the pipe."""
        return pending(self.fd)

    def widen(self) -> None:
        """Give a stream that fills its pipe the largest one (F_SETPIPE_SZ); not granted is not needed."""
        if self.large < LARGE:
            with contextlib.suppress(OSError):
                fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, CHUNK)
            self.large = LARGE


class TerminalSource:
    """A pty master. splice(2) copies from a terminal to pipes only, so a relay pipe lies between.

    The keeper holds both ends of the relay too: what is in it outlives this process. Kernels whose terminals
    cannot splice at all (5.10) get read + write, which loses what is in between if SIGKILL comes just then.
    """

    def __init__(self, master: int, relay: Relay) -> None:
        self.fd = master
        self.large = TTY_READ  # measured: a terminal's small buffer is full before a rest is over
        self._relay_r, self._relay_w = relay
        self._held = pending(self._relay_r)
        self._ended = False
        self._splices = True
        os.set_blocking(master, False)  # splice(2) on a terminal heeds O_NONBLOCK alone

    def copy(self, writer: LogWriter, stream: int) -> int:
        """Fill the relay if it is empty, then empty it into the log, as far as the segment has room."""
        if not self._held:
            self._fill()
        if not self._held:
            return 0
        moved = writer.splice(self._relay_r, stream)
        self._held -= moved
        return moved

    def pending(self) -> int:
        """Bytes in the relay and the terminal's buffer."""
        return self._held + (0 if self._ended else pending(self.fd))

    def widen(self) -> None:
        """Nothing: a terminal gives a page at a time."""

    def _fill(self) -> None:
        """Take what the terminal has, up to a relay full. Raises BlockingIOError if that is nothing.

        Without splice one read is all: a write to a relay that is full of small pieces would wait.
        """
        while not self._ended and self._held < (TTY_CHUNK if self._splices else 1):
            try:
                moved = self._take()
            except BlockingIOError:
                if not self._held:
                    raise
                return
            self._held += moved
            self._ended = moved == 0

    def _take(self) -> int:
        """One read's worth, master -> relay; 0 at the end: EIO, no slave is open any more."""
        try:
            if self._splices:
                return os.splice(self.fd, self._relay_w, TTY_READ, flags=os.SPLICE_F_NONBLOCK)
            return os.write(self._relay_w, os.read(self.fd, TTY_READ))
        except OSError as error:
            if error.errno == errno.EIO:
                return 0
            if error.errno != errno.EINVAL or not self._splices:
                raise
            self._splices = False
            return self._take()


def source_of(fd: int, relay: Relay | None) -> Source:
    """The source for a descriptor as the runtime hands it over."""
    return PipeSource(fd) if relay is None else TerminalSource(fd, relay)
