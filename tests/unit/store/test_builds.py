"""The cache of builds: which images are hidden, what goes with which, and what takes whose place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection

import pytest
from helpers import rows

from pysup.store import builds, containers, images
from pysup.store.builds import BuildStep
from pysup.store.database import open_or_create


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    """base, on it a and on that b and c; the last two are results, b has a name."""
    found = open_or_create(str(tmp_path / "pysup.db"))
    images.insert(found, id=of("base"), config={}, layers=(), size=0, created_at=1)
    for name, parent in (("a", "base"), ("b", "a"), ("c", "a")):
        step(found, name, parent)
    for name in "bc":
        builds.set_result(found, of(name), result=True)
    images.set_tag(found, "b", "1", of("b"))
    yield found
    found.close()


def of(name: str) -> str:
    return f"sha256:{name}"


def step(conn: Connection, name: str, parent: str, key: str = "") -> None:
    images.insert(conn, id=of(name), config={}, layers=(), size=0, created_at=1)
    row = BuildStep(key or f"key of {name}", of(name), of(parent), f"RUN {name}", 7, 5, 5, 0, result=False)
    builds.add(conn, row)


def test_steps_are_found_and_counted(conn: Connection) -> None:
    assert builds.used(conn, "key of a", 9)
    found = builds.find(conn, "key of a")
    assert found is not None and (found.uses, found.used_at, found.image_id) == (1, 9, of("a"))
    assert builds.find(conn, "nope") is None and not builds.used(conn, "nope", 9)


def test_what_is_hidden(conn: Connection) -> None:
    assert builds.hidden(conn) == {of("a")}
    builds.set_result(conn, of("b"), result=False)
    assert builds.hidden(conn) == {of("a")}, "it has a name"
    images.untag(conn, "b", "1")
    assert builds.hidden(conn) == {of("a"), of("b")}
    images.add_digest(conn, "b", of("digest"), of("b"))
    assert builds.hidden(conn) == {of("a")}
    assert [one.image_id for one in builds.cached(conn)] == [of("a")]


def test_who_stands_on_whom(conn: Connection) -> None:
    assert builds.parents(conn, of("b")) == [of("a"), of("base")]
    assert (builds.parent(conn, of("b")), builds.parent(conn, of("base"))) == (of("a"), "")
    assert builds.has_children(conn, of("a")) and not builds.has_children(conn, of("b"))
    assert not builds.has_children(conn, of("base")), "it is no step itself"
    assert builds.below_visible(conn) == {of("a"), of("base")}


def test_what_goes_with_an_image(conn: Connection) -> None:
    assert builds.unneeded_above(conn, of("b")) == [], "c needs it, too"
    images.delete(conn, of("c"))
    assert builds.unneeded_above(conn, of("b")) == [of("a")]
    rows.insert(conn, "f" * 64, "x", image_id=of("a"))
    assert builds.in_use(conn) == {of("a")}
    assert builds.unneeded_above(conn, of("b")) == []


def test_a_newer_step_takes_the_place_of_an_older_one_which_stays_a_step(conn: Connection) -> None:
    step(conn, "a2", "base", key="key of a")
    found = builds.find(conn, "key of a")
    assert found is not None and found.image_id == of("a2")
    assert builds.hidden(conn) == {of("a"), of("a2")}
    assert builds.parents(conn, of("b")) == [of("a"), of("base")]
    builds.forget_visible(conn)
    assert {one.image_id for one in builds.cached(conn)} == {of("a"), of("a2")}


def test_containers_of_steps(conn: Connection) -> None:
    for letter in "ef":
        rows.insert(conn, letter * 64, letter)
        builds.add_container(conn, letter * 64)
    containers.update(conn, "e" * 64, state="removed", removed_at=5)
    assert builds.list_containers(conn) == ["f" * 64]
    builds.release_container(conn, "f" * 64)
    assert builds.list_containers(conn) == []
