"""Clients that ask for archives and do not take them: each holds a thread, and nobody else lacks one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

MORE_THAN_THREADS = 45
"""trio has 40 for whoever does not say otherwise."""


@contextmanager
def not_taken(daemon: Daemon, path: str, count: int) -> Iterator[None]:
    """So many answers of which nothing is read but how they begin: more than fits into sockets and pipes is left."""
    with ExitStack() as stack:
        for _ in range(count):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(str(daemon.socket))
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert sock.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
        yield


def test_the_daemon_goes_on(tmp_path: Path) -> None:
    """What needs a thread: a filter that is compiled, the end of an overlay, a copy."""
    quiet = ("--network", "none")
    with Daemon(tmp_path) as daemon:
        daemon.pysup("create", *quiet, "--name", "box", "host", "true", check=True)
        with not_taken(daemon, "/containers/box/archive?path=/usr", MORE_THAN_THREADS):
            daemon.pysup("run", *quiet, "--cap-drop", "NET_RAW", "--name", "run", "host", "true", check=True)
            daemon.pysup("start", "-a", "run", check=True)
            daemon.pysup("cp", "box:/etc/hostname", str(tmp_path / "copied"), check=True)
            daemon.pysup("rm", "run", check=True)
        daemon.pysup("rm", "box", check=True)
