"""Starts a daemon in the background where ``run``, or another command that begins something, finds none.

The daemon is a session of its own (setsid), with its output in ``<run>/daemon.log``. It is ready when it
answers a ping; the keeper listens before the engine is up, so the first ping waits there instead of failing.
"""

from __future__ import annotations

import os
import re
import select
import socket
import sys
import time
from collections.abc import Callable

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.settings import Settings

BOUND = 20.0
"""Seconds that a daemon may take until it answers."""
_STEP = 0.01
"""Seconds between two attempts to connect; its death is noticed at once."""
_TAIL = 4096
_LOG_HEAD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d [A-Z]+ ")
"""What the daemon's log lines begin with (daemon_log.py)."""
_BEGINNING = re.compile(r"^cannot start the daemon:? ")
_PING = b"GET /_ping HTTP/1.1\r\nHost: pysup\r\nConnection: close\r\n\r\n"


def start(settings: Settings) -> None:
    """Start a daemon and wait until it answers. Raises Unavailable (the reason from its log)."""
    where = settings.socket_path
    if sys.platform != "linux":
        raise Unavailable(
            f"cannot connect to the daemon at {where}: there is none, and one can only run on Linux"
        )
    log = os.path.join(settings.run, "daemon.log")
    begin = _log_end(settings, log)
    pid = _spawn(settings, log)
    print(f"pysup: no daemon at {where}: started one (pid {pid})", file=sys.stderr, flush=True)
    wait_ready(where, pid, lambda: _reason(log, begin))


def _log_end(settings: Settings, log: str) -> int:
    """Make the directory; how long the log is already."""
    try:
        os.makedirs(settings.run, mode=0o755, exist_ok=True)
        return os.stat(log).st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise Unavailable(f"cannot start the daemon: {settings.run}: {error.strerror}") from None


def _spawn(settings: Settings, log: str) -> int:
    """Start ``pysup daemon`` with these settings, detached; its pid."""
    options = ["--root", settings.root, "--run", settings.run, "--cgroup-root", settings.cgroup_root]
    if settings.socket:
        options += ["--socket", settings.socket]
    argv = [sys.executable, "-P", "-m", "pysup.supervisor.cli.main", "daemon", *options]
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        return os.posix_spawn(sys.executable, argv, os.environ, file_actions=files, setsid=True)
    except OSError as error:
        raise Unavailable(f"cannot start the daemon: {error.strerror}") from None


def wait_ready(where: str, pid: int, reason: Callable[[], str], bound: float = BOUND) -> None:
    """Until the daemon answers, dies, or takes too long. Raises Unavailable."""
    deadline = time.monotonic() + bound
    death = os.pidfd_open(pid)
    try:
        while not _answers(where, death, deadline):
            if _died(death, _STEP):
                os.waitpid(pid, 0)
                raise Unavailable(f"cannot start the daemon: {reason() or 'it ended at once'}")
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"cannot start the daemon: no answer within {bound:g} s: {reason()}".rstrip(": ")
                )
    finally:
        os.close(death)


def _died(death: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(death, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _answers(where: str, death: int, deadline: float) -> bool:
    """Connect and ping; False if nobody listens yet, or the daemon died."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(where)
            sock.sendall(_PING)
            return _first_of(sock.fileno(), death, deadline) and bool(sock.recv(1))
        except OSError:
            return False


def _first_of(wanted: int, other: int, deadline: float) -> bool:
    """Whether the one descriptor alone is readable before the other, and before the deadline."""
    poll = select.poll()
    poll.register(wanted, select.POLLIN)
    poll.register(other, select.POLLIN)
    ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
    return [fd for fd, _ in ready] == [wanted]


def _reason(log: str, begin: int) -> str:
    """The last line that the daemon wrote: why it ended."""
    try:
        with open(log, "rb") as file:
            file.seek(max(begin, os.stat(log).st_size - _TAIL))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    last = _LOG_HEAD.sub("", lines[-1], count=1) if lines else ""
    return _BEGINNING.sub("", last.removeprefix("pysup: "))
