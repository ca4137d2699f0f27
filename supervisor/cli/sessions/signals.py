"""Signals as readable bytes: what arrives while a container is attached is handled in the copying loop.

Nothing happens inside a signal handler, so no state (the terminal's above all) is ever left half way.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from types import TracebackType

NEVER_FORWARDED = frozenset(
    getattr(signal, name)
    for name in (
        *("SIGKILL", "SIGSTOP", "SIGCHLD", "SIGPIPE", "SIGURG", "SIGWINCH"),
        *("SIGTTIN", "SIGTTOU", "SIGTSTP", "SIGCONT"),
        *("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGPROF", "SIGVTALRM"),
    )
    if hasattr(signal, name)
)
"""Not catchable, about this process's own children, faults and job control, or made by the runtime."""

ENDING = frozenset(
    getattr(signal, name) for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM") if hasattr(signal, name)
)
"""What ends this command when signals are not forwarded (--sig-proxy=false)."""


def forwarded() -> frozenset[int]:
    """The signals that ``--sig-proxy`` sends on to the container."""
    return frozenset(int(one) for one in signal.valid_signals()) - {int(one) for one in NEVER_FORWARDED}


def api_name(number: int) -> str:
    """``TERM`` for 15; the number where there is no name (real-time signals between RTMIN and RTMAX)."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


class Caught:
    """While inside the with block, these signals arrive as bytes to read, one for each."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = sorted(numbers)
        self._saved: dict[int, object] = {}
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def __enter__(self) -> Caught:
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in self._numbers:
            self._saved[number] = signal.signal(number, _nothing)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._saved.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Readable when a signal has arrived."""
        return self._read

    def take(self) -> list[int]:
        """The signals that arrived since the last call, in order."""
        try:
            return list(os.read(self._read, 256))
        except BlockingIOError:
            return []


def _nothing(_number: int, _frame: object) -> None:
    """The wakeup descriptor has it already."""
