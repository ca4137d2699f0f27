"""pysup query: reads, and only reads, with and without a daemon."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest
from helpers.daemon import Daemon

from pysup.store.tables import TABLES
from pysup.store.views import VIEWS

pytestmark = pytest.mark.kernel


def test_every_form_and_every_view(tidy: Daemon) -> None:
    tidy.pysup("run", "--name", "one", "host", "sh", "-c", "exit 3", check=False)
    sql = "select name, state, exit_code from container"
    row = {"name": "one", "state": "exited", "exit_code": 3}
    assert json.loads(tidy.pysup("query", "--json", sql, check=True).stdout) == [row]
    assert json.loads(tidy.pysup("query", "--nl", sql, check=True).stdout) == row
    table = tidy.pysup("query", "--csv", sql, check=True).stdout
    assert list(csv.reader(io.StringIO(table))) == [["name", "state", "exit_code"], ["one", "exited", "3"]]
    assert tidy.pysup("query", "-p", "n", "one", "select state from container where name = :n").stdout == (
        "STATE\nexited\n"
    )
    listed = tidy.pysup("query", "--tables", check=True).stdout
    assert all(name in listed for name in [*TABLES, *(view.name for view in VIEWS)])
    for view in VIEWS:
        tidy.pysup("query", f"select * from {view.name}", check=True)  # noqa: S608 - our own names


def test_the_schema_makes_such_a_database(daemon: Daemon) -> None:
    statements = daemon.pysup("query", "--schema", check=True).stdout
    with contextlib.closing(sqlite3.connect(":memory:")) as made:
        made.executescript(statements)
        for name in [*TABLES, *(view.name for view in VIEWS)]:
            made.execute(f"select * from {name}")  # noqa: S608 - our own names


@pytest.mark.parametrize(
    "sql", ["delete from container", "pragma user_version = 5", "attach '/tmp/x' as x", "selec"]
)
def test_what_is_no_question_is_refused(tidy: Daemon, sql: str) -> None:
    refused = tidy.pysup("query", sql)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith(f"pysup: cannot query {tidy.root}/pysup.db: ")


def test_a_stopped_daemons_store_can_be_read(daemon: Daemon) -> None:
    assert daemon.stop() == 0
    count = "select count(*) as n from daemon_start where stopped_at is not null"
    assert json.loads(daemon.pysup("query", "--json", count, check=True).stdout) == [{"n": 1}]
    assert Path(daemon.root, "pysup.db").exists()
