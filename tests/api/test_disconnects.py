"""Clients of a real daemon that leave in the middle: nothing of them stays, and nobody else notices."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.daemon import Daemon

from pysup.supervisor.client.sync import Client

pytestmark = pytest.mark.kernel

WITHIN = 20.0
ROUTES = (
    "GET /containers/box/logs?follow=1&stdout=1&stderr=1",
    "GET /containers/box/logs?follow=1&stdout=1&timestamps=1&resumable=1",
    "GET /events",
    "GET /events?since=1&resumable=1",
    "GET /containers/box/stats",
    "POST /containers/box/wait",
    "POST /containers/box/wait?condition=removed&run=1",
    "POST /containers/box/attach?stream=1&stdin=1&stdout=1&stderr=1",
    "POST /containers/box/attach?stream=1&stdout=1&resumable=1&logs=1",
)


def begin(daemon: Daemon, route: str, body: bytes = b"", *headers: str) -> socket.socket:
    """A connection on which the answer has begun."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(WITHIN)
    sock.connect(str(daemon.socket))
    lines = [f"{route} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", "Content-Type: application/json"]
    sock.sendall("\r\n".join([*lines, *headers, "", ""]).encode() + body)
    head = b""
    while b"\r\n\r\n" not in head:
        data = sock.recv(4096)
        assert data, (route, head)
        head += data
    assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")), head
    return sock


def open_files(daemon: Daemon) -> list[str]:
    """What the engine has open, without the numbers that the kernel gives anew."""
    found = []
    for entry in Path(f"/proc/{daemon.engine_pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry).partition(":[")[0])
        except FileNotFoundError:
            continue
    return sorted(found)


def until(condition: Callable[[], bool], daemon: Daemon) -> None:
    """Ask again after every round trip to the daemon: it has had its turn in between."""
    for _ in range(2000):
        if condition():
            return
        daemon_answers(daemon)
    assert condition()


def daemon_answers(daemon: Daemon) -> None:
    with begin(daemon, "GET /_ping") as sock:
        assert sock.fileno() >= 0


@pytest.mark.parametrize("half_closed", [False, True])
def test_nothing_stays_of_clients_that_leave(daemon: Daemon, half_closed: bool) -> None:
    box = ["--name", "box", "--net", "none", "host", "sh", "-c", "echo here; cat"]
    daemon.pysup("run", "-d", "-i", *box, check=True)
    for route in ROUTES:  # what is made once, and kept, is made now
        begin(daemon, route).close()
    daemon_answers(daemon)
    until(lambda: open_files(daemon).count("socket") <= len(ROUTES), daemon)
    before = set(open_files(daemon))
    sockets = open_files(daemon).count("socket")
    for _ in range(3):
        connections = [begin(daemon, route) for route in ROUTES]
        for sock in connections:
            if half_closed:
                sock.shutdown(socket.SHUT_WR)
            sock.close()
    until(lambda: open_files(daemon).count("socket") <= sockets, daemon)
    until(lambda: set(open_files(daemon)) <= before, daemon)
    assert "Traceback" not in daemon.log.read_text() and "ResourceWarning" not in daemon.log.read_text()
    daemon.pysup("rm", "-f", "box", check=True)


def test_a_client_that_does_not_read_stops_nobody(daemon: Daemon) -> None:
    """Its container writes on, others read on, and the engine's memory does not grow with what it left unread."""
    script = "head -c 40000000 /dev/zero; echo done >&2"
    daemon.pysup("create", "--net", "none", "--name", "box", "host", "sh", "-c", script, check=True)
    with begin(daemon, "POST /containers/box/attach?stream=1&stdout=1"):
        memory = resident(daemon)
        daemon.pysup("start", "box", check=True)
        assert daemon.pysup("wait", "box", check=True).stdout == "0\n"
        assert daemon.pysup("logs", "box", "--stderr", check=True).stderr == "done\n"
        assert resident(daemon) - memory < 8 << 20
    daemon.pysup("rm", "-f", "box", check=True)


def test_an_exec_whose_client_does_not_read_keeps_no_container(daemon: Daemon) -> None:
    """Its processes are gone, and what they have written still comes to who reads it at last."""
    daemon.pysup("run", "-d", "--net", "none", "--name", "box", "host", "sleep", "1000", check=True)
    client = Client(f"unix://{daemon.socket}")
    made = client.post("/containers/box/exec", {"Cmd": ["yes"], "AttachStdout": True})["Id"]
    with begin(daemon, f"POST /exec/{made}/start", b"{}", "Connection: Upgrade", "Upgrade: tcp") as sock:
        until(lambda: client.get(f"/exec/{made}/json")["Pid"] > 0, daemon)
        writer = Path(f"/proc/{client.get(f'/exec/{made}/json')['Pid']}")
        seen = [0]

        def is_stuck() -> bool:
            """Nothing has come since the last look, and the process waits for room."""
            seen.append(struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0])
            return seen[-2] == seen[-1] > 0 and "pipe_write" in (writer / "wchan").read_text()

        until(is_stuck, daemon)
        done = daemon.pysup("rm", "-f", "box", timeout=WITHIN)
        assert (done.stdout, done.stderr) == ("box\n", "")
        came = 0
        while data := sock.recv(1 << 16):
            came += len(data)
        assert came > seen[-1]  # what was in the pipe, too


def resident(daemon: Daemon) -> int:
    """Bytes of memory that the engine holds (proc_pid_statm(5))."""
    pages = int(Path(f"/proc/{daemon.engine_pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
