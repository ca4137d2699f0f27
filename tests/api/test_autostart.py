"""Commands where no daemon is: what begins something starts one, says so, and leaves it running."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.daemon import CGROUPS, Daemon

pytestmark = pytest.mark.kernel

BOUND = 60.0


def command(daemon: Daemon, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a mount namespace of its own, which the daemon that it starts will share."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *daemon.command(*words)],
        env={**os.environ, "PYSUP_CGROUP_ROOT": daemon.cgroup, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )


def end(pid: int) -> None:
    """Ask a daemon to end, and wait until it has."""
    pidfd = os.pidfd_open(pid)
    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(BOUND * 1000)
    os.close(pidfd)


def test_a_daemon_is_started_and_said(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    first = command(daemon, "run", "--rm", "host", "echo", "hello")
    started = re.fullmatch(rf"pysup: no daemon at {daemon.socket}: started one \(pid (\d+)\)\n", first.stderr)
    assert started, first.stderr
    try:
        assert (first.returncode, first.stdout) == (0, "hello\n")
        second = command(daemon, "run", "--rm", "host", "echo", "again")
        assert (second.returncode, second.stdout, second.stderr) == (0, "again\n", "")
    finally:
        end(int(started[1]))
    assert daemon.leftovers() == []


def test_whatever_begins_something_starts_one(tmp_path: Path) -> None:
    """As a user's very first command; the rest finds the daemon that is there."""
    daemon = Daemon(tmp_path)
    first = command(daemon, "volume", "create", "data")
    started = re.fullmatch(rf"pysup: no daemon at {daemon.socket}: started one \(pid (\d+)\)\n", first.stderr)
    assert started, first.stderr
    try:
        assert (first.returncode, first.stdout) == (0, "data\n")
        assert daemon.pysup("volume", "ls", "-q", check=True).stdout == "data\n"
    finally:
        end(int(started[1]))
    assert daemon.leftovers() == []
    assert not [*CGROUPS.glob(f"*/{daemon.cgroup}"), *CGROUPS.glob(daemon.cgroup)]


@pytest.mark.parametrize(
    ("words", "environment"),
    [(("run", "--no-autostart", "host", "true"), {}), (("run", "host", "true"), {"PYSUP_AUTOSTART": "0"})],
)
def test_none_is_started_where_none_is_wanted(
    tmp_path: Path, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    daemon = Daemon(tmp_path)
    done = command(daemon, *words, **environment)
    assert done.returncode == 125
    expected = (
        f"pysup: cannot connect to the daemon at {daemon.socket}: none is there (start it: pysup daemon)\n"
    )
    assert done.stderr == expected
    assert not daemon.root.exists()


def test_a_daemon_that_cannot_start_says_why(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.root.write_text("a file")
    done = command(daemon, "run", "host", "true")
    assert done.returncode == 125
    last = done.stderr.splitlines()[-1]
    assert last.startswith("pysup: cannot start the daemon: ")
    assert str(daemon.root) in last


def test_the_cause_is_said_without_what_a_log_line_begins_with(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.root.mkdir()
    database = daemon.root / "pysup.db"
    database.write_text("no database at all")
    done = command(daemon, "run", "host", "true")
    cause = f"pysup: cannot start the daemon: cannot open {database}: file is not a database"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (125, cause)


@pytest.mark.parametrize("options", [(), ("--host", "tcp://127.0.0.1:2375", "--insecure-tcp")])
def test_a_database_that_cannot_be_opened_ends_the_daemon(tmp_path: Path, options: tuple[str, ...]) -> None:
    daemon = Daemon(tmp_path)
    daemon.root.mkdir()
    database = daemon.root / "pysup.db"
    database.write_text("no database at all")
    done = daemon.pysup("daemon", *options, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"cannot open {database}: file is not a database" in done.stderr
    assert database.read_text() == "no database at all"
    assert not daemon.socket.exists()


def test_a_file_at_the_place_of_the_socket_stays(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.socket = tmp_path / "file"
    daemon.socket.write_text("precious")
    done = daemon.pysup("daemon")
    assert (done.returncode, "no socket" in done.stderr) == (1, True)
    assert daemon.socket.read_text() == "precious"


def test_a_directory_for_everybody_keeps_its_mode(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.run_dir.mkdir()
    daemon.run_dir.chmod(0o1777)
    done = daemon.pysup("daemon")
    assert (done.returncode, str(daemon.run_dir) in done.stderr) == (1, True)
    assert daemon.run_dir.stat().st_mode & 0o7777 == 0o1777


@pytest.mark.parametrize("words", [("ps",), ("images",), ("volume", "rm", "data"), ("stop", "web")])
def test_what_shows_or_ends_something_starts_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    daemon = Daemon(tmp_path)
    done = command(daemon, *words)
    assert done.returncode == 1
    assert "none is there" in done.stderr
    assert not daemon.run_dir.exists()
