"""Volumes and their use: a foreign key keeps what is used, and what nobody has named goes with its last user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection, IntegrityError

import pytest
from helpers import rows

from pysup.store import containers, volumes
from pysup.store.database import open_or_create
from pysup.store.errors import Missing


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    """A store with the containers a and b, and the volumes data and unnamed."""
    found = open_or_create(str(tmp_path / "pysup.db"))
    for letter in "ab":
        rows.insert(found, letter * 64, letter)
    for name in ("data", "unnamed"):
        volumes.insert(
            found, name=name, created_at=5, labels={"k": "v"}, options={}, anonymous=name != "data"
        )
    yield found
    found.close()


def use(conn: Connection, letter: str, volume: str, destination: str = "/v") -> None:
    volumes.use(
        conn,
        container_id=letter * 64,
        destination=destination,
        volume=volume,
        anonymous=volume == "unnamed",
    )


def names(conn: Connection) -> list[str]:
    return [row.name for row in volumes.list_volumes(conn)]


def test_a_row_comes_out_as_it_went_in(conn: Connection) -> None:
    row = volumes.get(conn, "unnamed")
    assert row == volumes.Volume("unnamed", "local", 5, {"k": "v"}, {}, anonymous=True)
    assert volumes.get(conn, "nope") is None
    with pytest.raises(IntegrityError):
        volumes.insert(conn, name="data", created_at=6, labels={}, options={})


def test_a_volume_in_use_cannot_be_deleted(conn: Connection) -> None:
    use(conn, "a", "data")
    with pytest.raises(IntegrityError):
        volumes.delete(conn, "data")
    volumes.release(conn, "a" * 64, drop_anonymous=True)
    assert volumes.delete(conn, "data") is True
    assert volumes.delete(conn, "data") is False


def test_a_volume_that_is_gone_cannot_be_used(conn: Connection) -> None:
    with pytest.raises(Missing, match="nope"):
        use(conn, "a", "nope")


def test_use_ends_with_the_containers_row(conn: Connection) -> None:
    use(conn, "a", "data")
    use(conn, "a", "data", "/twice")
    use(conn, "b", "data")
    assert volumes.users(conn) == {"data": 2}
    containers.delete(conn, "a" * 64)
    assert [one.container_id for one in volumes.uses(conn, "data")] == ["b" * 64]


def test_what_nobody_has_named_goes_with_its_last_user(conn: Connection) -> None:
    for letter in "ab":
        use(conn, letter, "unnamed")
        use(conn, letter, "data", "/data")
    assert volumes.release(conn, "a" * 64, drop_anonymous=True) == []
    assert volumes.release(conn, "b" * 64, drop_anonymous=True) == ["unnamed"]
    assert names(conn) == ["data"]


def test_it_stays_unless_that_is_asked_for(conn: Connection) -> None:
    use(conn, "a", "unnamed")
    assert volumes.release(conn, "a" * 64, drop_anonymous=False) == []
    assert names(conn) == ["data", "unnamed"]


def test_people_see_who_uses_what(conn: Connection) -> None:
    use(conn, "a", "data")
    shown = conn.execute("SELECT name, used_by, anonymous FROM volumes").fetchall()
    assert shown == [("data", "a", 0), ("unnamed", None, 1)]
