"""A start that somebody ends before the program runs: it answers who that was, and nothing of a ``run`` stays."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

CLONED = ("--name", "web", "--device", "/dev/null:/dev/more")
"""One for which no child was made ahead."""


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


@contextmanager
def keeper_asleep(daemon: Daemon) -> Iterator[None]:
    """Nothing can be started meanwhile: the engine waits for a child."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def state(daemon: Daemon) -> str:
    """As the store has it; empty: there is none of this name."""
    with closing(sqlite3.connect(f"file:{daemon.root}/pysup.db?mode=ro", uri=True)) as conn:
        found = conn.execute(
            "SELECT state FROM container WHERE name = 'web' AND removed_at IS NULL"
        ).fetchone()
    return "" if found is None else str(found[0])


def asked(daemon: Daemon, stack: ExitStack, request: str) -> socket.socket:
    """A request that the engine has read; its answer may take long."""
    sock = stack.enter_context(socket.socket(socket.AF_UNIX))
    sock.connect(str(daemon.socket))
    sock.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    while _unread(sock):
        os.sched_yield()
    with closing(daemon.client()) as client:
        for _ in range(
            3
        ):  # what is read is acted on in a few turns of the engine's loop: these come after it
            client.get("/containers/json")
    return sock


def _unread(sock: socket.socket) -> int:
    """Bytes that the other side has not read yet (SIOCOUTQ, unix(7))."""
    (found,) = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))
    return int(found)


@pytest.mark.parametrize(
    ("request_line", "how"),
    [("POST /containers/web/stop", "stopped"), ("DELETE /containers/web?force=1", "removed")],
)
@pytest.mark.parametrize("options", [(), ("--rm",), ("-d",)])
def test_run_says_who_ended_it(daemon: Daemon, options: tuple[str, ...], request_line: str, how: str) -> None:
    with ExitStack() as stack:
        with keeper_asleep(daemon):
            run = subprocess.Popen(
                daemon.command("run", *options, *CLONED, "host", "true"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            while state(daemon) != "starting" and run.poll() is None:
                os.sched_yield()
            asked(daemon, stack, request_line)
        shown, error = run.communicate(timeout=60)
        assert (run.returncode, shown, state(daemon)) == (125, "", "")
        assert f"cannot start container web: it was {how} meanwhile by " in error
        assert f"(pid {os.getpid()}, uid 0)" in error


def test_start_answers_409(daemon: Daemon) -> None:
    daemon.pysup("create", *CLONED, "host", "true", check=True)
    with ExitStack() as stack:
        with keeper_asleep(daemon):
            started = asked(daemon, stack, "POST /containers/web/start")
            asked(daemon, stack, "POST /containers/web/stop")
        answer = started.makefile().read()
        assert answer.startswith("HTTP/1.1 409 ")
        assert "cannot start container web: it was stopped meanwhile by" in answer
        assert state(daemon) == "exited"
