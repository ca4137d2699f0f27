"""What is left of a removed secret in the store's files, byte by byte: nothing, not even its sealed value."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.mortal import until

pytestmark = pytest.mark.kernel


def sealed_values(daemon: Daemon) -> list[bytes]:
    """As they stand in the store."""
    with closing(sqlite3.connect(f"file:{daemon.root}/pysup.db?mode=ro", uri=True)) as conn:
        return [bytes(row[0]) for row in conn.execute("SELECT sealed FROM secret")]


def left(daemon: Daemon, values: Iterable[bytes]) -> int:
    """How many pieces of them are in the store's files: bytes as they are on the disk, of pages in use and free."""
    raw = b"".join(path.read_bytes() for path in sorted(daemon.root.glob("pysup.db*")))
    size = 24
    return sum(value[at : at + size] in raw for value in values for at in range(0, len(value) - size, size))


def test_nothing_is_left_of_a_removed_secret_not_even_sealed(tmp_path: Path) -> None:
    """Free pages, unused room in pages in use, and the write-ahead log; small values and such as take many pages."""
    with Daemon(tmp_path) as daemon:
        for number, size in enumerate((9, 900, 3000, 300_000, 40, 20_000)):
            source = tmp_path / f"value{number}"
            source.write_bytes(os.urandom(size))
            daemon.pysup("secret", "create", f"s{number}", str(source), check=True)
        daemon.pysup("create", "--name", "user", "--secret", f"src={source}", "host", "true", check=True)
        values = sealed_values(daemon)
        assert len(values) == 7 and left(daemon, values) > 300_000 / 24
        for number in (3, 1, 5, 0, 4):
            daemon.pysup("secret", "rm", f"s{number}", check=True)
        daemon.pysup("rm", "user", check=True)
        kept = sealed_values(daemon)
        assert len(kept) == 1
        assert left(daemon, set(values) - set(kept)) == 0
        assert left(daemon, kept) > 100, "the one that was not removed is there"


def test_who_reads_the_store_keeps_no_removal_waiting_and_nothing_for_ever(tmp_path: Path) -> None:
    source = tmp_path / "value"
    source.write_bytes(os.urandom(5000))
    with (
        Daemon(tmp_path) as daemon,
        closing(sqlite3.connect(f"file:{daemon.root}/pysup.db?mode=ro", uri=True)) as reader,
    ):
        daemon.pysup("secret", "create", "s", str(source), check=True)
        values = sealed_values(daemon)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM secret").fetchone() == (1,)
        daemon.pysup("secret", "rm", "s", check=True)
        daemon.pysup("create", "--name", "other", "host", "true", check=True)
        assert left(daemon, values) > 0, "the reader's past is still there"
        reader.execute("ROLLBACK")
        until(lambda: left(daemon, values) == 0, "it is truncated once nobody reads")
        daemon.pysup("rm", "other", check=True)


def test_a_daemon_that_was_killed_leaves_no_more(tmp_path: Path) -> None:
    """Killed between a removal and the truncation: the next one makes up for it."""
    source = tmp_path / "value"
    source.write_bytes(os.urandom(5000))
    with Daemon(tmp_path) as daemon:
        daemon.pysup("secret", "create", "s", str(source), check=True)
        values = sealed_values(daemon)
        with closing(sqlite3.connect(f"file:{daemon.root}/pysup.db?mode=ro", uri=True)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM secret").fetchone()
            daemon.pysup("secret", "rm", "s", check=True)
            os.kill(daemon.engine_pid, signal.SIGKILL)
        assert daemon.pysup("secret", "ls", "-q", check=True).stdout == ""
        until(lambda: left(daemon, values) == 0, "the next engine truncates it")
