"""Who asks for what the engine does: it is written into every event row."""

from __future__ import annotations

from typing import NamedTuple


class Caller(NamedTuple):
    """The peer of the API socket (SO_PEERCRED, unix(7)), or the daemon itself."""

    uid: int
    """-1: it came by TCP."""
    pid: int
    comm: str
    """The name of the process, or of the certificate, with ``@`` and the address behind it."""
    gid: int = 0

    def __str__(self) -> str:
        """For people."""
        if not self.pid:
            return self.comm
        return f"{self.comm} (pid {self.pid}, uid {self.uid})"


DAEMON = Caller(0, 0, "pysup")
