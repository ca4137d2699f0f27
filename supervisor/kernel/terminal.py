"""Pseudo-terminals by descriptor: ioctl_tty(2), pts(4). No path is used, so none can be exchanged."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

_TIOCGPTPEER = 0x5441
_TIOCSPTLCK = 0x40045431
_WINDOW = struct.Struct("=4H")
_PTMX = os.makedev(5, 2)


def is_ptmx(fd: int) -> bool:
    """Tell whether ``fd`` is the device that makes pseudo-terminals (character device 5:2)."""
    return os.fstat(fd).st_rdev == _PTMX


def unlock(master: int) -> None:
    """Let the slave be opened, as unlockpt(3) does."""
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("=i", 0))


def open_slave(master: int) -> int:
    """Open the slave of a master without its path. TIOCGPTPEER, Linux 4.13; close-on-exec."""
    return fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def make_controlling(fd: int) -> None:
    """Make the terminal the session's own; the caller leads a session without one. TIOCSCTTY."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def set_window_size(fd: int, rows: int, columns: int) -> None:
    """Set the size and tell the foreground processes (SIGWINCH). TIOCSWINSZ."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, _WINDOW.pack(rows, columns, 0, 0))
