"""Rows go in and come out as they were; the rules of names, prefixes and retention hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection, IntegrityError

import pytest
from helpers import rows

from pysup.store import containers, events, execs, images, runs
from pysup.store.database import open_or_create
from pysup.store.errors import Ambiguous, Missing, NameTaken


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    """A fresh store."""
    found = open_or_create(str(tmp_path / "pysup.db"))
    yield found
    found.close()


def full(begin: str) -> str:
    """An id that begins so."""
    return begin.ljust(64, "0")


def add(conn: Connection, container_id: str, name: str) -> None:
    rows.insert(conn, full(container_id), name)


def test_a_container_is_found_by_id_name_and_unique_prefix(conn: Connection) -> None:
    add(conn, "aa11", "one")
    add(conn, "aa22", "two")
    assert containers.find(conn, full("aa11")).name == containers.find(conn, "one").name == "one"
    assert containers.find(conn, "aa2").name == "two"
    with pytest.raises(Ambiguous):
        containers.find(conn, "aa")
    for nobody in ("", "b", "%", "aa_1"):
        with pytest.raises(Missing):
            containers.find(conn, nobody)


def test_a_row_is_known_to_be_what_an_update_makes_of_it(conn: Connection) -> None:
    add(conn, "a1", "web")
    before = containers.find(conn, "web")
    columns = {
        "oom_killed": 1,
        "recent_restarts": (1.5, 2.0),
        "last_delay": 0.5,
        "exit_code": 3,
        "error": "x",
    }
    containers.update(conn, before.id, **columns)
    after = containers.find(conn, "web")
    assert containers.updated(before, **columns) == after
    assert (after.oom_killed, after.recent_restarts) == (True, (1.5, 2.0))


def test_a_name_is_free_again_once_its_container_is_removed(conn: Connection) -> None:
    add(conn, "a1", "web")
    with pytest.raises(NameTaken, match=r"container a10+ has it"):
        add(conn, "a2", "web")
    containers.update(conn, full("a1"), state="removed", removed_at=5)
    add(conn, "a2", "web")
    assert containers.find(conn, "web").id == full("a2")
    assert containers.find_removed(conn, "web").id == full("a1")
    with pytest.raises(Missing):
        containers.find(conn, full("a1"))


def test_states_and_columns_are_checked(conn: Connection) -> None:
    add(conn, "a1", "web")
    with pytest.raises(IntegrityError):
        containers.update(conn, full("a1"), state="dancing")
    with pytest.raises(TypeError, match="no column"):
        containers.update(conn, full("a1"), colour="red")
    with pytest.raises(KeyError):
        containers.update(conn, "nobody", pid=1)


def test_runs_go_with_their_container(conn: Connection) -> None:
    add(conn, "a1", "web")
    for number in (1, 2, 3):
        runs.begin(
            conn, container_id=full("a1"), number=number, started_at=number, cause="manual", asked_by="test"
        )
    runs.update(conn, full("a1"), 2, ended_at=9, exit_code=137, signal=9, ended_by="kill", oom_killed=1)
    found = runs.get(conn, full("a1"), 2)
    assert found is not None
    assert (found.exit_code, found.oom_killed, found.ended_by) == (137, True, "kill")
    assert [run.number for run in runs.list_runs(conn, full("a1"), last=2)] == [2, 3]
    assert [run.number for run in runs.unfinished(conn)] == [1, 3]
    with pytest.raises(IntegrityError):
        runs.begin(conn, container_id="nobody", number=1, started_at=1, cause="manual", asked_by="test")
    containers.delete(conn, full("a1"))
    assert runs.list_runs(conn, full("a1")) == []


def test_only_a_run_that_nobody_ended_has_failed(conn: Connection) -> None:
    add(conn, "a1", "web")
    ends = [("itself", 0), ("itself", 1), ("oom", 137), ("lost", 255), ("timeout", 143), ("unhealthy", 0)]
    wanted = [("stop", 143), ("kill", 137), ("shutdown", 143), ("restart", 128)]
    for number, (ended_by, exit_code) in enumerate([*ends, *wanted], 1):
        runs.begin(
            conn, container_id=full("a1"), number=number, started_at=1, cause="manual", asked_by="test"
        )
        runs.update(conn, full("a1"), number, ended_at=2, exit_code=exit_code, ended_by=ended_by)
    assert conn.execute("SELECT runs, failed FROM totals").fetchall() == [(10, 5)]
    assert conn.execute("SELECT run FROM failures ORDER BY run").fetchall() == [(run,) for run in range(2, 7)]


def test_the_last_failure_comes_first_also_within_a_second(conn: Connection) -> None:
    add(conn, "a1", "web")
    for number, ended_at in ((1, 30), (2, 50), (3, 40)):
        runs.begin(
            conn, container_id=full("a1"), number=number, started_at=1, cause="manual", asked_by="test"
        )
        runs.update(conn, full("a1"), number, ended_at=ended_at, exit_code=1, ended_by="itself")
    assert conn.execute("SELECT run FROM failures").fetchall() == [(2,), (3,), (1,)]


def test_events_are_read_after_an_id_and_between_times(conn: Connection) -> None:
    ids = [
        events.add(
            conn, time=time, type="container", action="die", actor_id="a", attributes={"exitCode": "1"}
        )
        for time in (10, 20, 15)
    ]
    assert ids == sorted(ids)
    assert [event.id for event in events.after(conn, ids[0])] == ids[1:]
    assert [event.time for event in events.between(conn, 12, 20)] == [20, 15]
    assert events.prune(conn, before=100) == 2
    assert events.last_id(conn) == ids[-1], "the newest stays: its id must never come back"


def test_what_was_removed_long_ago_is_forgotten(conn: Connection) -> None:
    for container_id, removed_at in (("a1", 5), ("a2", 50)):
        add(conn, container_id, container_id)
        containers.update(conn, full(container_id), state="removed", removed_at=removed_at)
    assert containers.forget_removed(conn, before=10) == [full("a1")]
    assert containers.get(conn, full("a2")) is not None


def test_a_tag_moves_and_an_image_goes_with_its_tags(conn: Connection) -> None:
    for image in ("sha256:1", "sha256:2"):
        images.insert(conn, id=image, config={}, layers=("x",), size=1, created_at=1)
        images.set_tag(conn, "web", "latest", image)
    found = images.tagged(conn, "web", "latest")
    assert found is not None
    assert (found.id, found.layers) == ("sha256:2", ("x",))
    images.delete(conn, "sha256:2")
    assert images.list_tags(conn) == []


def test_execs_are_forgotten_when_they_have_ended(conn: Connection) -> None:
    add(conn, "a1", "web")
    for exec_id in ("e1", "e2"):
        execs.insert(conn, id=full(exec_id), container_id=full("a1"), run_number=1, process={}, created_at=1)
    execs.update(conn, full("e1"), state="exited", exit_code=0, ended_at=5)
    execs.update(conn, full("e2"), state="running", started_at=2)
    assert [row.id for row in execs.unfinished(conn)] == [full("e2")]
    execs.insert(conn, id=full("e3"), container_id=full("a1"), run_number=1, process={}, created_at=11)
    assert execs.forget_ended(conn, before=10) == 1
    assert execs.get(conn, full("e1")) is None
    assert execs.forget_ended(conn, before=12) == 1
    assert [row.id for row in execs.list_execs(conn, full("a1"))] == [full("e2")]
