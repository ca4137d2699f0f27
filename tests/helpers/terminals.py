"""A command on a pseudo-terminal of its own."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
from collections.abc import Sequence

BOUND = 60
"""Seconds for whatever is to be shown."""


class Terminal:
    """Starts at once; ``code()`` waits for the end."""

    def __init__(self, command: Sequence[str], *, rows: int = 0, columns: int = 0) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, close_fds=True
        )
        os.close(slave)
        self.shown = b""

    def type(self, keys: bytes) -> None:
        """As a person would."""
        os.write(self.master, keys)

    def until(self, wanted: bytes) -> bytes:
        """Read until this was shown since the last call; what came before it."""
        poll = select.poll()
        poll.register(self.master, select.POLLIN)
        while wanted not in self.shown:
            assert poll.poll(BOUND * 1000), (wanted, self.shown)
            self.shown += os.read(self.master, 65536)
        before, _, self.shown = self.shown.partition(wanted)
        return before

    def code(self) -> int:
        """The exit code, once it has ended."""
        code = self.process.wait(BOUND)
        os.close(self.master)
        return code
