"""Listing: ``ps`` with 100 running containers, and with 10,000 rows in the store."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.common import goal, ratio, report, take_turns
from tests.bench.lab import CROWD, Lab
from tests.bench.supervisor import Pysup

ROWS = 10_000


def measure(lab: Lab) -> None:
    """Print medians for both."""
    peers = [lab.pysup, *lab.engines]
    for peer in peers:
        lab.crowd(peer)
    client = lab.pysup.client()
    subjects: dict[str, Callable[[], object]] = {peer.name: peer.ps for peer in peers}
    subjects["pysup API"] = lambda: client.get("/containers/json")
    times = take_turns(subjects, lab.rounds)
    report(f"`ps` with {CROWD} running containers", times, base="pysup")
    goal("pysup : docker", ratio(times, "pysup", "docker"), 2)
    goal("pysup : podman", ratio(times, "pysup", "podman"), 1)
    client.close()
    _with_many_rows(lab)


def _with_many_rows(lab: Lab) -> None:
    with Pysup(lab.directory / "many", lab.archive) as pysup:
        pysup.create("one", "/bin/true")
        pysup.daemon.stop()
        _multiply(pysup.daemon.root / "pysup.db")
        begin = time.perf_counter()
        pysup.daemon.start()
        print(f"\nThe daemon with {ROWS} containers was ready after {time.perf_counter() - begin:.2f} s.")
        client = pysup.client()
        subjects: dict[str, Callable[[], object]] = {
            "pysup ps -a": pysup.ps_all,
            "pysup ps -aq": pysup.ps_ids,
            "pysup ps": pysup.ps,
            "pysup API, all": lambda: client.get("/containers/json", query={"all": "1"}),
        }
        report(f"`ps` with {ROWS} rows", take_turns(subjects, min(lab.rounds, 5)), base="pysup ps -a")
        client.close()
        pysup.daemon.stop()
        _forget(pysup.daemon.root / "pysup.db")
        pysup.daemon.start()


def _multiply(database: Path) -> None:
    """Copies of the one container that is there, with names and ids of their own."""
    conn = sqlite3.connect(database)
    columns = [row[1] for row in conn.execute("PRAGMA table_info(container)")]
    new = {"id": "lower(hex(randomblob(32)))", "name": "'copy-' || n"}
    values = ", ".join(new.get(column, column) for column in columns)
    conn.execute(
        "WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < ?) "  # noqa: S608
        f"INSERT INTO container ({', '.join(columns)}) SELECT {values} FROM container, number",
        (ROWS - 1,),
    )
    conn.commit()
    conn.close()


def _forget(database: Path) -> None:
    """The copies have no directories: nothing else is to be removed of them."""
    conn = sqlite3.connect(database)
    conn.execute("DELETE FROM container WHERE name LIKE 'copy-%'")
    conn.commit()
    conn.close()
