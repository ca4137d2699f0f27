"""A daemon that cannot begin: one line, its exit code, and nothing left of what was made for it."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from helpers import own_network
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel


class Refused(Daemon):
    """One that has begun nothing, with directories that are not there yet."""

    def __init__(self, directory: Path, *options: str) -> None:
        super().__init__(directory, *options)
        self.run_dir = directory / "state" / "run"

    def begin(self, prepare: str = "true") -> str:
        """What it says; it must leave by itself. ``prepare``: done in its mount namespace before."""
        own_network.enter()
        own = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{prepare}; exec "$@"', "sh"]
        words = [*own, *self.command("daemon"), *self.options]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 1, done
        return done.stderr


def test_a_second_one_on_a_root(daemon: Daemon, tmp_path: Path) -> None:
    second = Refused(tmp_path)
    second.root = daemon.root
    assert (
        second.begin()
        == f"pysup: cannot start the daemon: another one (pid {daemon.pid}) uses {daemon.root}\n"
    )
    assert not second.run_dir.parent.exists()
    assert daemon.pysup("ps", check=True).stderr == ""


def test_one_whose_socket_cannot_be(tmp_path: Path) -> None:
    refused = Refused(tmp_path)
    refused.socket = tmp_path / "missing" / "s.sock"
    assert f"cannot listen on {refused.socket}: No such file or directory" in refused.begin()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("newer", [False, True])
def test_one_whose_database_is_not_to_be_read(tmp_path: Path, *, newer: bool) -> None:
    """The file is as it was, and so is the directory that it is in."""
    refused = Refused(tmp_path)
    refused.root.mkdir()
    path = refused.root / "pysup.db"
    if newer:
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set, name)")
            conn.execute("INSERT INTO _sqlite_migrations VALUES (1, 'pysup', '9999_later')")
            conn.execute("PRAGMA application_id = 0x70797375")
    else:
        path.write_bytes(b"no database" * 1000)
    before = path.read_bytes()
    assert f"cannot open {path}: " in refused.begin()
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert not refused.socket.exists()


def test_one_that_finds_no_cgroups(tmp_path: Path) -> None:
    """An error that was expected: what it says, and not where in the program it came from."""
    said = Refused(tmp_path).begin("umount --recursive --lazy /sys/fs/cgroup")
    cause = "cannot limit or watch containers: no cgroup hierarchy is mounted at /sys/fs/cgroup"
    assert said.endswith(f" ERROR {cause}\n") and len(said.splitlines()) == 1, said
