"""The copying loop, on real pseudo-terminals and sockets; a forked child plays the command."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysup.supervisor.cli.sessions.session import CHUNK, Detached, Plan, Session
from pysup.supervisor.cli.tty import RawMode, Size, size

BOUND = 10.0
"""Seconds after which a test that waits has failed."""


class Wire:
    """A plain socket as a stream: all that comes is standard output, unless it begins with E."""

    lost = False

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def fileno(self) -> int:
        return self.sock.fileno()

    def receive(self) -> list[tuple[int, bytes]] | None:
        try:
            data = self.sock.recv(CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        if not data:
            return None
        return [(2 if data.startswith(b"E") else 1, data)]

    def send_some(self, data: bytes) -> int:
        try:
            return self.sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def close_write(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: (master, slave)."""
    master, slave = os.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def is_raw(fd: int) -> bool:
    return not termios.tcgetattr(fd)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)


def test_raw_mode_is_left_on_every_way_out(terminal: tuple[int, int]) -> None:
    _, slave = terminal
    before = termios.tcgetattr(slave)
    with RawMode(slave):
        assert is_raw(slave)
    assert termios.tcgetattr(slave) == before

    def failing() -> None:
        with RawMode(slave):
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert termios.tcgetattr(slave) == before


def test_the_size_of_a_terminal_and_of_none(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    set_size(master, 33, 111)
    assert size(slave) == Size(33, 111)
    with open(os.devnull, "rb") as null:
        assert size(null.fileno()) is None


class Child:
    """A forked process with its own standard streams that runs a session and ends with a code."""

    def __init__(
        self, play: Callable[[socket.socket], int], fds: tuple[int, int, int], *, session: bool
    ) -> None:
        self.wire, inner = socket.socketpair()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(play, inner, fds, session=session)
        inner.close()

    def _become(
        self, play: Callable[[socket.socket], int], inner: socket.socket, fds: Any, *, session: bool
    ) -> None:
        code = 99
        try:
            self.wire.close()
            if session:
                os.setsid()
                fcntl.ioctl(fds[0], termios.TIOCSCTTY, 0)
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
            os.closerange(3, inner.fileno())
            os.closerange(inner.fileno() + 1, 1024)
            code = play(inner)
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            os._exit(code)

    def code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def read_until(fd: int, ending: bytes) -> bytes:
    """What comes from a descriptor up to and with these bytes."""
    data = b""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while not data.endswith(ending):
        assert poll.poll(BOUND * 1000), f"waited for {ending!r}, got {data!r}"
        data += os.read(fd, CHUNK)
    return data


def interactive(inner: socket.socket) -> int:
    """A session with a terminal that reports its resizes and its forwarded signals on the wire."""

    def resize(now: Size) -> None:
        inner.sendall(f"<{now.rows}x{now.columns}>".encode())

    def forward(number: int) -> None:
        inner.sendall(f"<signal {number}>".encode())

    plan = Plan(tty=True, stdin=True, forward=forward, resize=resize)
    try:
        with Session(Wire(inner), plan) as session:
            session.run()
    except Detached:
        return 7
    return 0


def test_keys_go_out_as_bytes_and_the_terminal_comes_back(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    set_size(master, 24, 80)
    before = termios.tcgetattr(slave)
    child = Child(interactive, (slave, slave, slave), session=True)
    assert read_until(child.wire.fileno(), b"<24x80>")
    assert is_raw(slave)
    os.write(master, b"a\x03\x1a\r")
    assert read_until(child.wire.fileno(), b"\r") == b"a\x03\x1a\r"
    child.wire.sendall(b"out\n")
    assert read_until(master, b"out\n") == b"out\n"
    child.wire.close()
    assert child.code() == 0
    assert termios.tcgetattr(slave) == before


def test_a_resize_and_a_signal_are_passed_on(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    set_size(master, 24, 80)
    child = Child(interactive, (slave, slave, slave), session=True)
    read_until(child.wire.fileno(), b"<24x80>")
    set_size(master, 30, 90)
    os.kill(child.pid, signal.SIGWINCH)
    assert read_until(child.wire.fileno(), b"<30x90>").endswith(b"<30x90>")
    os.kill(child.pid, signal.SIGTERM)
    assert read_until(child.wire.fileno(), b"<signal 15>").endswith(b"<signal 15>")
    child.wire.close()
    assert child.code() == 0


def test_the_detach_keys_end_the_session(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    set_size(master, 24, 80)
    before = termios.tcgetattr(slave)
    child = Child(interactive, (slave, slave, slave), session=True)
    read_until(child.wire.fileno(), b"<24x80>")
    os.write(master, b"x\x10")
    read_until(child.wire.fileno(), b"x\x10")
    os.write(master, b"\x11")
    read_until(child.wire.fileno(), b"\x11")
    child.wire.sendall(b"last\n")
    child.wire.close()  # the daemon has read them
    assert read_until(master, b"last\n") == b"last\n"
    assert child.code() == 7
    assert termios.tcgetattr(slave) == before


def test_a_stop_leaves_a_sane_terminal_and_goes_on_raw(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    set_size(master, 24, 80)
    child = Child(interactive, (slave, slave, slave), session=True)
    read_until(child.wire.fileno(), b"<24x80>")
    os.kill(child.pid, signal.SIGTSTP)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert not is_raw(slave)
    os.kill(child.pid, signal.SIGCONT)
    read_until(child.wire.fileno(), b"<24x80>")
    assert is_raw(slave)
    child.wire.close()
    assert child.code() == 0


def unforwarded(inner: socket.socket) -> int:
    """A session whose signals end the command."""
    with Session(
        Wire(inner), Plan(tty=True, stdin=True, resize=lambda now: inner.sendall(b"<on>"))
    ) as session:
        session.run()
    return 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_ends_the_command_restores_the_terminal(terminal: tuple[int, int], number: int) -> None:
    master, slave = terminal
    set_size(master, 24, 80)
    before = termios.tcgetattr(slave)
    child = Child(unforwarded, (slave, slave, slave), session=True)
    read_until(child.wire.fileno(), b"<on>")
    os.kill(child.pid, number)
    assert child.code() == 128 + number
    assert termios.tcgetattr(slave) == before
    child.wire.close()


def piped(inner: socket.socket) -> int:
    """A session without a terminal."""
    with Session(Wire(inner), Plan(tty=False, stdin=True)) as session:
        session.run()
    return 0


def test_streams_stay_apart_and_stdin_is_half_closed() -> None:
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    child = Child(piped, (in_read, out_write, err_write), session=False)
    os.write(in_write, b"\x00\xff in")
    assert read_until(child.wire.fileno(), b"in") == b"\x00\xff in"
    for fd in (in_write, in_read):
        os.close(fd)
    assert child.wire.recv(1) == b""
    child.wire.sendall(b"still out")
    assert read_until(out_read, b"still out") == b"still out"
    child.wire.sendall(b"Error")
    assert read_until(err_read, b"Error") == b"Error"
    child.wire.close()
    assert child.code() == 0
    for fd in (out_read, out_write, err_read, err_write):
        os.close(fd)


def test_output_flows_while_input_is_stuck() -> None:
    """The daemon takes no input; megabytes of output still arrive, and the input waits its turn."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    fcntl.fcntl(in_write, fcntl.F_SETPIPE_SZ, 1 << 20)
    child = Child(piped, (in_read, out_write, out_write), session=False)
    os.set_blocking(in_write, False)
    stuffed = os.write(in_write, b"i" * (1 << 20))
    os.close(in_write)
    os.close(in_read)
    os.close(out_write)
    child.wire.settimeout(0)
    got, sent, total = 0, 0, 8 << 20
    poll = select.poll()
    poll.register(out_read, select.POLLIN)
    poll.register(child.wire, select.POLLOUT)
    while got < total:
        ready = dict(poll.poll(BOUND * 1000))
        assert ready
        if child.wire.fileno() in ready:
            sent += child.wire.send(b"o" * min(65536, total - sent))
            if sent == total:
                poll.unregister(child.wire)
        if out_read in ready:
            got += len(os.read(out_read, 1 << 20))
    child.wire.settimeout(BOUND)
    taken = 0
    while taken < stuffed:
        taken += len(child.wire.recv(1 << 20))
    assert child.wire.recv(1) == b""
    child.wire.close()
    assert child.code() == 0
    os.close(out_read)
