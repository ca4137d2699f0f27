"""The engine's process as the keeper sees it: how it is started, and when it is started again."""

from __future__ import annotations

import _socket
import os
import sys

from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.protocol import Message
from pysup.supervisor.keeper.table import Handover
from pysup.supervisor.kernel import files, process

ENGINE_ARGV = [sys.executable, "-P", "-m", "pysup.supervisor.engine_process"]

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
LONG_LIFE = 10.0


def next_delay(previous: float, lived: float) -> float:
    """Seconds until an engine that died is started again: at once after a long life, then doubling."""
    if lived >= LONG_LIFE:
        return 0.0
    return min(max(FIRST_DELAY, previous * 2), LONGEST_DELAY)


class EngineProcess:
    """A running engine: its pid, its pidfd and the keeper's end of the socket."""

    __slots__ = ("pid", "pidfd", "sock", "started_at")

    def __init__(self, pid: int, sock: _socket.socket, now: float) -> None:
        self.pid = pid
        self.pidfd = process.pidfd_open(pid)
        self.sock = sock
        self.started_at = now

    def close(self) -> None:
        """Close both descriptors."""
        self.sock.close()
        os.close(self.pidfd)


def start(kept: Handover, now: float, first: Message | None = None) -> EngineProcess:
    """Start an engine that inherits stdio, its socket, the listening socket and the lock, and nothing else.

    ``first``, a message without descriptors, waits in the socket before there is an engine: it outlives this process.
    It leads a process group of its own: a Ctrl-C on the terminal is for the keeper, which passes it on in
    order.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        if first is not None:
            codec.send(ours, first)
        for fd in (theirs.fileno(), kept.listen_fd, kept.lock_fd):
            files.let_inherit(fd)
        arguments = [
            "--keeper-fd",
            str(theirs.fileno()),
            "--listen-fd",
            str(kept.listen_fd),
            "--lock-fd",
            str(kept.lock_fd),
        ]
        command = [*kept.engine_argv, *arguments, "--settings", kept.settings.to_json()]
        pid = os.posix_spawn(command[0], command, os.environ, setsigmask=(), setpgroup=0)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        for fd in (kept.listen_fd, kept.lock_fd):
            files.keep_private(fd)
    return EngineProcess(pid, ours, now)
