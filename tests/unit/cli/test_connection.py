"""Finding the daemon, and waiting for one that was started: real sockets, real processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pysup.supervisor import settings
from pysup.supervisor.cli import autostart, connection
from pysup.supervisor.errors import NotFound, Unavailable
from pysup.supervisor.settings import Settings


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYSUP_SOCKET", "PYSUP_RUN", "PYSUP_ROOT", "PYSUP_AUTOSTART", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)


def child(play: Callable[[], None]) -> int:
    """A process that plays a daemon."""
    pid = os.fork()
    if pid == 0:
        try:
            play()
        finally:
            os._exit(3)
    return pid


def end(pid: int) -> None:
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def test_a_daemon_that_answers(tmp_path: Path) -> None:
    where = str(tmp_path / "s")

    def play() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(where)
            listener.listen()
            peer, _ = listener.accept()
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            listener.accept()

    pid = child(play)
    autostart.wait_ready(where, pid, lambda: "", 10.0)
    end(pid)


def test_a_daemon_that_dies_says_why(tmp_path: Path) -> None:
    pid = child(lambda: None)
    with pytest.raises(Unavailable, match="cannot start the daemon: no root here"):
        autostart.wait_ready(str(tmp_path / "s"), pid, lambda: "no root here", 10.0)


def test_a_daemon_that_listens_and_then_dies(tmp_path: Path) -> None:
    where = str(tmp_path / "s")

    def play() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(where)
            listener.listen()
            listener.accept()

    pid = child(play)
    with pytest.raises(Unavailable, match="cannot start the daemon: it ended at once"):
        autostart.wait_ready(where, pid, lambda: "", 10.0)


def test_a_daemon_that_never_answers_is_not_waited_for_without_bound(tmp_path: Path) -> None:
    where = str(tmp_path / "s")
    ready, tell = os.pipe()

    def play() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(where)
            listener.listen()
            os.write(tell, b"x")
            os.read(os.pipe()[0], 1)

    pid = child(play)
    os.read(ready, 1)
    with pytest.raises(Unavailable, match=r"no answer within 0\.05 s: slow disk"):
        autostart.wait_ready(where, pid, lambda: "slow disk", 0.05)
    end(pid)
    os.close(ready)
    os.close(tell)


def test_the_reason_is_the_last_line_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text("old\n")
    begin = autostart._log_end(Settings(run=str(tmp_path)), str(log))
    with log.open("a") as file:
        file.write("pysup: cannot start the daemon: another one (pid 3) uses /x\n")
    assert autostart._reason(str(log), begin) == "another one (pid 3) uses /x"
    assert autostart._reason(str(log), len(log.read_text())) == ""
    log.write_text("pysup: cannot start the daemon without root: no newuidmap\n")
    assert autostart._reason(str(log), 0) == "without root: no newuidmap"


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
def test_an_ordinary_user_has_directories_of_his_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """… and his own daemon's socket, unless he may use the machine's and has none."""
    for name in ("PYSUP_ROOT", "PYSUP_RUN", "PYSUP_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", f"{tmp_path}/data")

    def play() -> None:
        os.environ["XDG_RUNTIME_DIR"] = f"{tmp_path}/run"
        machine = settings.from_environment()
        # access(2) asks for the real ids: nobody's, who may not use a daemon that the machine has
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        own = settings.from_environment()
        found = (machine.root, own.root, own.run, settings.socket_to_use())
        del os.environ["XDG_RUNTIME_DIR"]
        found = (*found, settings.from_environment().run)
        wanted = ("/var/lib/pysup", f"{tmp_path}/data/pysup", f"{tmp_path}/run/pysup",
                  f"{tmp_path}/run/pysup/pysup.sock", f"{tmp_path}/data/pysup/run")  # fmt: skip
        os._exit(0 if found == wanted else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child(play), 0)[1]) == 0


def test_no_daemon_and_none_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSUP_SOCKET", str(tmp_path / "s"))
    with pytest.raises(Unavailable, match=r"cannot connect to the daemon at .*/s: none is there"):
        connection.connect()
    monkeypatch.setenv("PYSUP_AUTOSTART", "0")
    with pytest.raises(Unavailable, match="none is there"):
        connection.connect(start=True)


def test_a_socket_path_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSUP_SOCKET", str(tmp_path / ("x" * 200)))
    with pytest.raises(Unavailable, match="at most 107 bytes"):
        connection.connect(start=True)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("web", "/containers/web/x"),
        ("a/b?c", "/containers/a%2Fb%3Fc/x"),
        ("a_b-1.2", "/containers/a_b-1.2/x"),
    ],
)
def test_a_name_stays_one_segment(name: str, made: str) -> None:
    assert connection.path(name, "x") == made


def test_an_empty_name_names_nothing() -> None:
    with pytest.raises(NotFound):
        connection.path("")
