"""The terminal of the person who typed the command: raw mode, its size, stopping and going on."""

from __future__ import annotations

import os
import signal
from types import TracebackType
from typing import Any, NamedTuple

IFLAG, OFLAG, CFLAG, LFLAG, _ISPEED, _OSPEED, CC = range(7)


class Size(NamedTuple):
    """A terminal's size in characters."""

    rows: int
    columns: int


def size(fd: int = 1) -> Size | None:
    """The size of the terminal behind a descriptor; None if it is no terminal or does not know its size."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return None
    return Size(rows, columns) if rows and columns else None


class RawMode:
    """Puts the terminal into raw mode (cfmakeraw(3)) inside a with block, and back on every way out.

    Every key then arrives as bytes, Ctrl-C and Ctrl-Z too: the container's terminal makes signals of them.
    """

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._saved: list[Any] | None = None

    def __enter__(self) -> RawMode:
        import termios  # not there on every platform, and only needed here

        self._saved = termios.tcgetattr(self._fd)
        self._set_raw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _set_raw(self) -> None:
        import termios

        mode = termios.tcgetattr(self._fd)
        mode[IFLAG] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
        )
        mode[IFLAG] &= ~(termios.ICRNL | termios.IXON)
        mode[OFLAG] &= ~termios.OPOST
        mode[CFLAG] = (mode[CFLAG] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
        mode[LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[CC][termios.VMIN], mode[CC][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)

    def _restore(self) -> None:
        if self._saved is not None:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)

    def suspend(self) -> None:
        """Stop this process (``kill -TSTP``), with a sane terminal for as long as it is stopped."""
        self._restore()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._set_raw()
