"""Copies between the person's standard streams and an attached container, in one thread, with poll(2).

Bytes from standard input go out as fast as the daemon takes them and no faster; what comes in is written at
once. Signals arrive in the same loop (signals.py). The session ends when the daemon closes the stream, when
the detach keys are typed, or when a signal ends this command.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import NamedTuple, NoReturn, Protocol

from pysup.supervisor.cli.sessions import detach, signals
from pysup.supervisor.cli.tty import RawMode, Size, size
from pysup.supervisor.client.responses import Lost

STDIN, STDOUT, STDERR = 0, 1, 2
CHUNK = 256 << 10
_LEAVE = 128
"""A signal n that ends the command makes the exit code 128 + n."""
_LEAVES_WITHIN = 10.0
"""Seconds for a daemon to read the detach keys."""


class Stream(Protocol):
    """An upgraded connection (client.sync)."""

    def fileno(self) -> int:
        """The socket's descriptor, to poll."""

    def receive(self) -> list[tuple[int, bytes]] | None:
        """What has come, as (1 or 2, bytes), perhaps nothing yet; None at the end."""

    def send_some(self, data: bytes) -> int:
        """Send as much as can be sent without waiting."""

    def close_write(self) -> None:
        """Tell the daemon that no more input comes."""

    @property
    def lost(self) -> bool:
        """At the end: whether it was the daemon that ended, and not the output."""


class Plan(NamedTuple):
    """How to run a session."""

    tty: bool
    stdin: bool
    detach_keys: str = ""
    stdout: bool = True
    stderr: bool = True
    forward: Callable[[int], None] | None = None
    """Sends a signal to the container (--sig-proxy); None: signals end this command."""
    resize: Callable[[Size], None] | None = None
    reopen: Callable[[], Stream] | None = None
    """Attaches again, after the daemon's engine was killed, where the output was broken off."""

    def size(self) -> Size | None:
        """The size that the container's terminal is to have: this one's."""
        return size(STDOUT) or size(STDIN) if self.tty else None


class Detached(Exception):
    """The detach keys were typed: the container runs on."""


class Session:
    """One attached stream; run() once."""

    def __init__(self, stream: Stream, plan: Plan) -> None:
        self._stream = stream
        self._plan = plan
        self._pending = b""
        self._input_open = plan.stdin
        self._poll = select.poll()
        self._raw = RawMode(STDIN) if plan.tty and plan.stdin and os.isatty(STDIN) else None
        self._watch = detach.Watch(detach.parse(plan.detach_keys)) if self._raw else None
        self._caught = signals.Caught(self._signals())
        self._stack = ExitStack()

    def _signals(self) -> set[int]:
        wanted = set(signals.forwarded() if self._plan.forward else signals.ENDING)
        if self._plan.tty:
            wanted |= {signal.SIGWINCH}
        if self._raw:
            wanted |= {signal.SIGTSTP}
        return {int(number) for number in wanted}

    def __enter__(self) -> Session:
        """From here on signals are caught, and the terminal (if there is one) is raw."""
        self._stack.enter_context(self._caught)
        if self._raw:
            self._stack.enter_context(self._raw)
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def run(self) -> None:
        """Copy until the daemon ends the stream. Raises Detached; SystemExit if a signal ends the command."""
        self._poll.register(self._caught, select.POLLIN)
        self._copy()
        while self._stream.lost and self._plan.reopen:
            _unregister(self._poll, self._stream.fileno())
            self._stream = self._plan.reopen()
            self._copy()

    def _copy(self) -> None:
        """Copy until this stream ends. Input that had been sent, and was not yet taken, went with its engine."""
        self.resized()
        if not self._receive():  # what came together with the head wakes no poll
            return
        if not self._input_open and not self._pending:
            self._stream.close_write()
        while self._turn():
            pass

    def _turn(self, within: float | None = None) -> bool:
        """Do what there is to do, once there is something, or the seconds are over; False at the stream's end."""
        self._arm()
        ready = dict(self._poll.poll(None if within is None else within * 1000))
        if self._caught.fileno() in ready:
            self._on_signals()
        if STDIN in ready:
            self._read_input()
        events = ready.get(self._stream.fileno(), 0)
        if events & select.POLLOUT:
            self._send()
        return not events & ~select.POLLOUT or self._receive()

    def _leave(self) -> NoReturn:
        """The keys are on their way to the daemon, and it ends the stream when it has read them.

        Closed before that, an exec's terminal would be hung up: its client would be gone, and not have said so.
        """
        self._input_open = False
        deadline = time.monotonic() + _LEAVES_WITHIN
        while (left := deadline - time.monotonic()) > 0 and self._turn(left):
            pass
        raise Detached

    def resized(self) -> None:
        """Tell the container's terminal the size of this one."""
        now = self._plan.size()
        if now and self._plan.resize:
            self._plan.resize(now)

    def _arm(self) -> None:
        """Poll for input only while all of the last input has gone out."""
        self._poll.register(self._stream.fileno(), select.POLLIN | (select.POLLOUT if self._pending else 0))
        if self._input_open and not self._pending:
            self._poll.register(STDIN, select.POLLIN)
        else:
            _unregister(self._poll, STDIN)

    def _read_input(self) -> None:
        try:
            data = os.read(STDIN, CHUNK)
        except OSError:  # the terminal is gone
            data = b""
        if (
            not data and self._raw and not self._plan.forward
        ):  # what SIGHUP says, where it is the session's own
            raise SystemExit(_LEAVE + signal.SIGHUP)
        if not data:
            self._input_open = False
            self._stream.close_write()
            return
        self._pending = data
        self._send()
        if self._watch and self._watch.seen(data):
            self._leave()

    def _send(self) -> None:
        """Send what the daemon takes; if it takes no more input at all, reading will say why it closed."""
        try:
            self._pending = self._pending[self._stream.send_some(self._pending) :]
        except Lost:
            if not self._plan.reopen:
                self._pending, self._input_open = b"", False

    def _receive(self) -> bool:
        """Write out what has come; False at the end."""
        chunks = self._stream.receive()
        if chunks is None:
            return False
        for stream, data in chunks:
            if self._plan.stderr if stream == STDERR else self._plan.stdout:
                write_all(stream, data)
        return True

    def _on_signals(self) -> None:
        for number in self._caught.take():
            if number == signal.SIGWINCH:
                self.resized()
            elif number == signal.SIGTSTP and self._raw:
                self._raw.suspend()
                self.resized()
            elif self._plan.forward:
                self._plan.forward(number)
            else:
                raise SystemExit(_LEAVE + number)


def _unregister(poll: select.poll, fd: int) -> None:
    with suppress(KeyError):
        poll.unregister(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write everything, also to a descriptor that somebody made non-blocking."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            writable = select.poll()
            writable.register(fd, select.POLLOUT)
            writable.poll()
