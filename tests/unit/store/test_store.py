"""The store as a whole: durable, atomic, shared by many writers, and left alone when it is not ours to touch."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from sqlite3 import Connection

import pytest
import trio

from pysup.store import events
from pysup.store.database import connect, open_or_create
from pysup.store.errors import CannotOpen, Corrupt, Newer, StoreError
from pysup.store.store import Store


def note(conn: Connection, action: str) -> int:
    return events.add(conn, time=1, type="test", action=action, actor_id="x")


async def test_many_writers_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    answers: dict[int, int] = {}
    async with Store.open(str(tmp_path / "pysup.db")) as store:

        async def write(number: int) -> None:
            answers[number] = await store.write(lambda conn: note(conn, str(number)))

        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(write, number)
        rows = events.after(store.read(), 0)
    assert {row.action: row.id for row in rows} == {str(number): found for number, found in answers.items()}


async def test_a_change_that_fails_takes_back_only_itself(tmp_path: Path) -> None:
    async with Store.open(str(tmp_path / "pysup.db")) as store:

        def fail(conn: Connection) -> None:
            note(conn, "taken back")
            raise LookupError("mine")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.write, lambda conn: note(conn, "before"))
            with pytest.raises(LookupError, match="mine"):
                await store.write(fail)
        await store.write(lambda conn: note(conn, "after"))
        assert sorted(row.action for row in await store.query(lambda conn: events.after(conn, 0))) == [
            "after",
            "before",
        ]


async def test_readers_cannot_write(tmp_path: Path) -> None:
    async with Store.open(str(tmp_path / "pysup.db")) as store:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            note(store.read(), "no")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store.query(lambda conn: note(conn, "no"))


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async with Store.open(str(tmp_path / "pysup.db")) as store:
        pass
    with pytest.raises(StoreError, match="it is closed"):
        await store.write(lambda conn: note(conn, "late"))


def test_what_is_not_ours_is_left_as_it_is(tmp_path: Path) -> None:
    corrupt = tmp_path / "corrupt.db"
    corrupt.write_bytes(b"this is no database" * 1000)
    with pytest.raises(Corrupt, match=f"cannot open {corrupt}"):
        open_or_create(str(corrupt))
    assert corrupt.read_bytes() == b"this is no database" * 1000
    with pytest.raises(CannotOpen):
        open_or_create(str(tmp_path))
    with pytest.raises(CannotOpen):
        open_or_create(str(tmp_path / "missing" / "pysup.db"))


NO_FILE_GROWS = """
import resource, signal, sys
from pysup.store.database import open_or_create
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
open_or_create(sys.argv[1])
"""


def test_a_file_system_that_is_none_for_a_database_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "pysup.db"
    open_or_create(str(path)).close()
    words = [sys.executable, "-c", NO_FILE_GROWS, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    told = rf"CannotOpen: cannot open {path}: disk I/O error \(SQLITE_IOERR_\w+\): its disk fails, or has a file system"
    assert re.search(told, done.stderr), done.stderr


def test_a_newer_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = str(tmp_path / "pysup.db")
    open_or_create(path).close()
    with sqlite3.connect(path, isolation_level=None) as conn:
        newer = ("pysup", "m9999_future", "2030-01-01")
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)", newer
        )
    conn.close()
    before = Path(path).read_bytes()
    with pytest.raises(Newer):
        open_or_create(path)
    assert Path(path).read_bytes() == before


WRITER = """
import sys, trio
from pysup.store import events
from pysup.store.store import Store

async def main():
    async with Store.open(sys.argv[1]) as store:
        async def write(number):
            first = lambda conn: [events.add(conn, time=number, type="t", action=a, actor_id="x") for a in "ab"]
            await store.write(first)
            sys.stdout.write(f"{number}\\n"); sys.stdout.flush()
        async with trio.open_nursery() as nursery:
            limit = trio.CapacityLimiter(8)
            async def bounded(number):
                async with limit:
                    await write(number)
            for number in range(3000):
                nursery.start_soon(bounded, number)

trio.run(main)
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 40, 150])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, acknowledged: int) -> None:
    path = str(tmp_path / "pysup.db")
    open_or_create(path).close()
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = {int(writer.stdout.readline()) for _ in range(acknowledged)}
        os.kill(writer.pid, signal.SIGKILL)
        told |= {int(line) for line in writer.stdout if line.endswith(b"\n")}
    conn = connect(path)
    try:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = conn.execute("SELECT time, count(*) FROM event GROUP BY time").fetchall()
    finally:
        conn.close()
    assert {count for _, count in found} == {2}, "no half of a change"
    assert told <= {time for time, _ in found}
