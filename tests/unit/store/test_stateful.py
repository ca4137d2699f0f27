"""Any course of containers' lives, with transactions that are cut off and stores that are opened again.

A plain model says what must be there; hypothesis looks for a course in which the store says something else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection

import pytest
from helpers import rows
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from pysup.store import containers, events, runs
from pysup.store.database import open_or_create
from pysup.store.errors import Ambiguous, Missing, NameTaken

NAMES = st.sampled_from(["web", "db", "cache"])
PREFIXES = st.text("ab", min_size=1, max_size=3)
IDS = PREFIXES.map(lambda prefix: prefix.ljust(64, "0"))


@dataclass
class Life:
    """What must be known of one container."""

    name: str
    removed_at: int | None = None
    ends: list[int | None] = field(default_factory=list)
    """Exit codes of its runs; None: in progress."""


class CutOff(Exception):
    """The daemon dies inside a transaction."""


class Store(RuleBasedStateMachine):
    """``lives``: every row of table container that must be there."""

    ids = Bundle("ids")

    @initialize()
    def open(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.path = str(Path(self.directory.name) / "pysup.db")
        self.conn = open_or_create(self.path)
        self.lives: dict[str, Life] = {}
        self.now = 0
        self.told = 0

    def teardown(self) -> None:
        self.conn.close()
        self.directory.cleanup()

    def tick(self) -> int:
        self.now += 1
        return self.now

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """As the writer has it (store/writer.py)."""
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.conn.execute("ROLLBACK")
            raise
        self.conn.execute("COMMIT")

    def holder(self, name: str) -> str | None:
        found = [key for key, life in self.lives.items() if life.name == name and life.removed_at is None]
        return found[0] if found else None

    # -- the course of things ---------------------------------------------------------------------------------

    @rule(target=ids, container_id=IDS, name=NAMES)
    def create(self, container_id: str, name: str) -> str:
        if container_id in self.lives:
            return container_id
        holder = self.holder(name)
        with self.refused(holder), self.transaction():
            self._insert(self.conn, container_id, name)
            self._tell(self.conn, container_id, "create")
        if holder is None:
            self.lives[container_id] = Life(name)
            self.told += 1
        return container_id

    @staticmethod
    def refused(holder: str | None) -> AbstractContextManager[object]:
        """A name that somebody has is refused, and nothing else is."""
        return nullcontext() if holder is None else pytest.raises(NameTaken, match=holder)

    def _insert(self, conn: Connection, container_id: str, name: str) -> None:
        rows.insert(conn, container_id, name, created_at=self.tick())

    def _tell(self, conn: Connection, container_id: str, action: str) -> None:
        events.add(
            conn, time=self.tick(), type="container", action=action, actor_id=container_id, attributes={}
        )

    def _alive(self, container_id: str) -> Life | None:
        life = self.lives.get(container_id)
        return life if life is not None and life.removed_at is None else None

    @rule(container_id=ids)
    def start(self, container_id: str) -> None:
        life = self._alive(container_id)
        if life is None or None in life.ends:
            return
        with self.transaction():
            number = len(life.ends) + 1
            runs.begin(
                self.conn, container_id=container_id, number=number, started_at=self.tick(), cause="manual",
                asked_by="test",
            )  # fmt: skip
            containers.update(self.conn, container_id, state="running", run_number=number)
        life.ends.append(None)

    @rule(container_id=ids, code=st.integers(0, 255))
    def end(self, container_id: str, code: int) -> None:
        life = self._alive(container_id)
        if life is None or None not in life.ends:
            return
        with self.transaction():
            ended = {"ended_at": self.tick(), "exit_code": code, "ended_by": "itself"}
            runs.update(self.conn, container_id, len(life.ends), **ended)
            containers.update(self.conn, container_id, state="exited", exit_code=code)
        life.ends[-1] = code

    @rule(container_id=ids, name=NAMES)
    def rename(self, container_id: str, name: str) -> None:
        life = self._alive(container_id)
        if life is None:
            return
        holder = self.holder(name)
        others = None if holder == container_id else holder
        with self.refused(others), self.transaction():
            containers.rename(self.conn, container_id, name)
        if others is None:
            life.name = name

    @rule(container_id=ids)
    def remove(self, container_id: str) -> None:
        life = self._alive(container_id)
        if life is not None and None not in life.ends:
            life.removed_at = self.tick()
            with self.transaction():
                containers.update(self.conn, container_id, state="removed", removed_at=life.removed_at)

    @rule(container_id=consumes(ids))
    def forget(self, container_id: str) -> None:
        """As with --rm."""
        if self.lives.pop(container_id, None) is not None:
            with self.transaction():
                containers.delete(self.conn, container_id)

    @rule(back=st.integers(0, 20))
    def forget_removed(self, back: int) -> None:
        old = {
            key
            for key, life in self.lives.items()
            if life.removed_at is not None and life.removed_at < self.now - back
        }
        with self.transaction():
            assert set(containers.forget_removed(self.conn, self.now - back)) == old
        for key in old:
            del self.lives[key]

    @rule(container_id=IDS, name=NAMES)
    def die_in_a_transaction(self, container_id: str, name: str) -> None:
        """Nothing of it stays: no row, no event, no name that is taken."""
        if container_id in self.lives or self.holder(name) is not None:
            return
        with suppress(CutOff), self.transaction():
            self._insert(self.conn, container_id, name)
            self._tell(self.conn, container_id, "create")
            raise CutOff

    @precondition(lambda self: self.now > 0)
    @rule()
    def open_again(self) -> None:
        self.conn.close()
        self.conn = open_or_create(self.path)

    # -- what must hold ---------------------------------------------------------------------------------------

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        rows = {row.id: row for row in containers.list_containers(self.conn, containers.STATES)}
        assert {key: (row.name, row.removed_at) for key, row in rows.items()} == {
            key: (life.name, life.removed_at) for key, life in self.lives.items()
        }
        for key, life in self.lives.items():
            assert [run.exit_code for run in runs.list_runs(self.conn, key)] == life.ends

    @invariant()
    def everybody_is_found(self) -> None:
        for name in ("web", "db", "cache"):
            holder = self.holder(name)
            found = containers.by_name(self.conn, name)
            assert (found.id if found else None) == holder

    @invariant()
    def a_prefix_is_one_several_or_none(self) -> None:
        for prefix in ("a", "b", "ab", "ba"):
            alive = [
                key for key, life in self.lives.items() if life.removed_at is None and key.startswith(prefix)
            ]
            try:
                assert [containers.find(self.conn, prefix).id] == alive
            except Missing:
                assert alive == []
            except Ambiguous:
                assert len(alive) > 1

    @invariant()
    def views_agree_and_nothing_dangles(self) -> None:
        counted = (
            "SELECT (SELECT count(*) FROM ps), (SELECT count(*) FROM removed), (SELECT count(*) FROM run)"
        )
        alive = sum(life.removed_at is None for life in self.lives.values())
        every = sum(len(life.ends) for life in self.lives.values())
        assert self.conn.execute(counted).fetchone() == (alive, len(self.lives) - alive, every)
        told = "SELECT count(*) FROM event WHERE action = 'create'"
        assert self.conn.execute(told).fetchone() == (self.told,)
        assert self.conn.execute("PRAGMA foreign_key_check").fetchall() == []


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
