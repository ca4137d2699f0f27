"""Ranges of ids: whatever containers come, are refused, go, no two that are there have an id in common."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path

import pytest
from helpers.network_rows import add_container, full
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pysup.store import containers, id_ranges
from pysup.store.database import open_or_create
from pysup.supervisor.engine.containers.id_ranges import IdRanges
from pysup.supervisor.errors import Conflict
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.auto_ids import Range

POOL = Range(1000, 100)


class Ranges(RuleBasedStateMachine):
    """Containers that are drafted, made, refused and removed, while the engine may die at any time."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.conn = open_or_create(str(Path(self._directory.name) / "pysup.db"))
        self._numbers = itertools.count()
        self.drafts: dict[str, Range] = {}
        self.there: dict[str, Range] = {}
        self.start_engine()

    def teardown(self) -> None:
        self.conn.close()
        self._directory.cleanup()

    def start_engine(self) -> None:
        self.ranges = IdRanges(lambda: self.conn, Settings(userns_pool=f"{POOL.start}:{POOL.size}"))

    def widest_gap(self) -> int:
        found = sorted((*self.there.values(), *self.drafts.values()))
        ends, starts = [POOL.start, *(one.end for one in found)], [*(one.start for one in found), POOL.end]
        return max(start - end for end, start in zip(ends, starts, strict=True))

    @rule(size=st.integers(1, 40))
    def draft(self, size: int) -> None:
        name = f"{next(self._numbers):04x}f"
        if self.widest_gap() < size:
            with pytest.raises(Conflict, match=f"no {size} ids in a row"):
                self.ranges.reserve(name, size)
        else:
            self.drafts[name] = self.ranges.reserve(name, size)

    @precondition(lambda self: self.drafts)
    @rule(data=st.data())
    def make(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.drafts)))
        start, size = self.there[name] = self.drafts.pop(name)
        add_container(self.conn, name, "running")
        id_ranges.insert(self.conn, start=start, size=size, container_id=full(name))
        self.ranges.forget(name)

    @precondition(lambda self: self.drafts)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.drafts)))
        del self.drafts[name]
        self.ranges.forget(name)

    @precondition(lambda self: self.there)
    @rule(data=st.data(), row_stays=st.booleans())
    def remove(self, data: st.DataObject, row_stays: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.there)))
        del self.there[name]
        if row_stays:
            self.conn.execute(
                "UPDATE container SET state = 'removed', removed_at = 1 WHERE id = ?", (full(name),)
            )
        else:
            containers.delete(self.conn, full(name))

    @rule()
    def kill_engine(self) -> None:
        self.drafts.clear()
        self.start_engine()

    @invariant()
    def nobody_shares(self) -> None:
        found = sorted((*self.there.values(), *self.drafts.values()))
        assert all(one.end <= other.start for one, other in itertools.pairwise(found))
        assert all(POOL.start <= one.start and one.end <= POOL.end for one in found)
        assert [Range(one.start, one.size) for one in id_ranges.list_ranges(self.conn)] == sorted(
            self.there.values()
        )


TestRanges = Ranges.TestCase
TestRanges.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_the_store_refuses_what_overlaps(tmp_path: Path) -> None:
    conn = open_or_create(str(tmp_path / "pysup.db"))
    for name in ("c1", "c2"):
        add_container(conn, name, "running")
    id_ranges.insert(conn, start=100, size=10, container_id=full("c1"))
    for start, size in ((100, 1), (95, 6), (109, 1), (90, 50)):
        with pytest.raises(conn.IntegrityError, match="belong to another container"):
            id_ranges.insert(conn, start=start, size=size, container_id=full("c2"))
    id_ranges.insert(conn, start=110, size=10, container_id=full("c2"))
    conn.close()


def test_what_was_given_by_hand_is_left_out(tmp_path: Path) -> None:
    conn = open_or_create(str(tmp_path / "pysup.db"))
    add_container(conn, "c1", "exited")
    document = json.dumps({"Pysup": {"UidMaps": [[0, 1000, 30]], "GidMaps": [[0, 1040, 10]]}})
    conn.execute("UPDATE container SET host_config = ?", (document,))
    ranges = IdRanges(lambda: conn, Settings(userns_pool="1000:100"))
    assert [ranges.reserve("x", 10), ranges.reserve("y", 20)] == [Range(1030, 10), Range(1050, 20)]
    conn.close()
