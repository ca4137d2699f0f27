"""Databases of older versions: from each of them to this one, with all that was in them, at once or not at all."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from pysup.store import blobs, containers, images, m0015_ipvlan, m0017_out_of_memory, migrations, runs
from pysup.store.database import open_or_create
from pysup.store.migrations import APPLICATION_ID, MIGRATIONS, SET

ID, OTHER = "a" * 64, "b" * 64
IMAGE = "sha256:" + "1" * 64
BEFORE = f"""
INSERT INTO image (id, layers, size, created_at, config)
    VALUES ('{IMAGE}', '["l1"]', 123, 1, '{{"architecture": "riscv64", "config": {{"Cmd": ["sh"]}}}}');
INSERT INTO image_tag (repository, tag, image_id) VALUES ('old', '1', '{IMAGE}');
INSERT INTO container (id, name, image_id, state, created_at, started_at, run_number, config, host_config)
    VALUES ('{ID}', 'web', '{IMAGE}', 'running', 1, 2, 1, '{{"Image": "old:1"}}', '{{}}');
INSERT INTO container (id, name, state, created_at, removed_at, config, host_config)
    VALUES ('{OTHER}', 'gone', 'removed', 1, 5, '{{}}', '{{}}');
INSERT INTO run (container_id, number, started_at, cause) VALUES ('{ID}', 1, 2, 'manual');
INSERT INTO event (time, type, action, actor_id, attributes)
    VALUES (2, 'container', 'start', '{ID}', '{{"name": "web"}}');
INSERT INTO daemon_start (started_at, version, boot_id, pid, cause) VALUES (1, '0', 'b', 7, 'start');
"""  # noqa: S608 - no value of anybody's
"""Rows of the first version, which every later one had to carry on."""
VERSIONS = range(1, len(MIGRATIONS) + 1)


def old_database(path: str, version: int) -> None:
    """As that many migrations make it, with what the first version wrote."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for count, rows in ((1, BEFORE), (version, "")):
            pending = Migrations(SET)
            for migration in MIGRATIONS[:count]:
                pending(name=migration.name)(migration.apply)
            pending.apply(Database(conn, execute_plugins=False))
            conn.executescript(rows)
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def schema(path: str) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as conn:
        return conn.execute(
            "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY name"
        ).fetchall()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_older_version_is_carried_on(tmp_path: Path, version: int) -> None:
    path, fresh = str(tmp_path / "old.db"), str(tmp_path / "fresh.db")
    old_database(path, version)
    open_or_create(fresh).close()
    with contextlib.closing(open_or_create(path)) as conn:
        assert migrations.version_of(conn).current
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        (row,) = containers.list_containers(conn)
        assert (row.id, row.name, row.state, row.run_number) == (ID, "web", "running", 1)
        image = images.tagged(conn, "old", "1")
        assert image is not None and (image.id, image.architecture, image.os) == (IMAGE, "riscv64", "linux")
        assert [(layer.name, layer.size) for layer in blobs.all_layers(conn)] == [("l1", 123)]
        assert [run.started_at for run in runs.list_runs(conn, ID)] == [2]
        assert conn.execute("SELECT name FROM removed").fetchall() == [("gone",)]
        assert conn.execute("SELECT count(*) FROM event").fetchone() == (1,)
    assert schema(path) == schema(fresh)


def test_runs_of_before_say_that_the_kernel_ended_them(tmp_path: Path) -> None:
    path = str(tmp_path / "old.db")
    old_database(path, [one.name for one in MIGRATIONS].index(m0017_out_of_memory.NAME))
    ends = [("itself", 1, 137), ("itself", 0, 137), ("itself", 1, 0), ("kill", 1, 137)]
    with contextlib.closing(sqlite3.connect(path)) as conn, conn:
        sql = "INSERT INTO run (container_id, number, started_at, ended_at, cause, ended_by, oom_killed, exit_code)"
        values = f" VALUES ('{ID}', ?, 2, 3, 'manual', ?, ?, ?)"
        conn.executemany(sql + values, [(number, *end) for number, end in enumerate(ends, 2)])
    with contextlib.closing(open_or_create(path)) as conn:
        found = [run.ended_by for run in runs.list_runs(conn, ID)]
        assert found == [None, "oom", "itself", "itself", "kill"]


NETWORKED = f"""
INSERT INTO network (id, name, driver, created_at) VALUES ('{ID}', 'lan', 'bridge', 1);
INSERT INTO subnet (network_id, subnet) VALUES ('{ID}', '10.9.0.0/24');
INSERT INTO endpoint (id, container_id, network_id, mac, created_at) VALUES ('{OTHER}', '{ID}', '{ID}', '', 1);
INSERT INTO lease (network_id, address, subnet, endpoint_id) VALUES ('{ID}', '10.9.0.2', '10.9.0.0/24', '{OTHER}');
"""  # noqa: S608 - no value of anybody's


def test_a_table_that_is_made_anew_keeps_what_refers_to_it(tmp_path: Path) -> None:
    path = str(tmp_path / "old.db")
    old_database(path, [one.name for one in MIGRATIONS].index(m0015_ipvlan.NAME))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.executescript(NETWORKED)
    with contextlib.closing(open_or_create(path)) as conn:
        for table in ("network", "subnet", "endpoint", "lease"):
            assert conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,), table  # noqa: S608
        conn.execute("UPDATE network SET driver = 'ipvlan'")
        conn.execute("DELETE FROM network")  # and what refers to it goes with it again
        assert conn.execute("SELECT count(*) FROM lease").fetchone() == (0,)


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_a_failure_on_the_way_leaves_the_old_one(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "old.db")
    old_database(path, version)
    before = schema(path)

    def full(_db: Database) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    failing = (*MIGRATIONS[:-1], migrations.Migration(MIGRATIONS[-1].name, full))
    monkeypatch.setattr(migrations, "MIGRATIONS", failing)
    with pytest.raises(Exception, match="disk is full"):
        open_or_create(path)
    assert schema(path) == before
    monkeypatch.undo()
    open_or_create(path).close()
