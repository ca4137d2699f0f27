"""A container's row as this engine knows it, and the one way in which it changes: step, persist, publish."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, reduce
from sqlite3 import Connection
from types import MappingProxyType
from typing import NamedTuple

from pysup.store import containers
from pysup.store.containers import Container as Row
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers.states import Event, State, next_state
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.spec.container import ContainerSpec

Write = Callable[[Connection], None]
Aside = Callable[[Connection, int], None]
"""Writes the events of something else (a network, a volume) among those of the container, with the commit's time."""
Columns = Mapping[str, object]
NOTHING: Columns = MappingProxyType({})


class Told(NamedTuple):
    """An event row to write with a change: docker's action word and the attributes beside the usual ones."""

    action: str
    attributes: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple's default is never changed
    caller: Caller = DAEMON


class Change(NamedTuple):
    """What is committed at one stroke. Two that happen as one are joined by then()."""

    first: tuple[Write, ...] = ()
    """What the rest stands on (the row of a new container)."""
    passed: tuple[Event, ...] = ()
    """Events of the life cycle, in their order; none: no change of state."""
    told: tuple[Told | Aside, ...] = ()
    """In the order in which they happened; written before the rows."""
    columns: Columns = NOTHING
    writes: tuple[Write, ...] = ()
    """To other tables (the run)."""
    unpublished: tuple[Told, ...] = ()
    """Written with the rest, but published by the caller, when what follows the commit is done too."""

    def then(self, after: Change) -> Change:
        """Both, in this order; where they set the same column the later one counts."""
        return Change(
            (*self.first, *after.first),
            (*self.passed, *after.passed),
            (*self.told, *after.told),
            {**self.columns, **after.columns},
            (*self.writes, *after.writes),
            (*self.unpublished, *after.unpublished),
        )


class Record:
    """Owner of the row. Only the container's task calls step() and note()."""

    def __init__(self, parts: Parts, row: Row, spec: ContainerSpec) -> None:
        self._parts = parts
        self.row = row
        self.spec = spec

    @property
    def id(self) -> str:
        """The container's id."""
        return self.row.id

    @property
    def state(self) -> State:
        """The observed state."""
        return State(self.row.state)

    async def step(
        self,
        *passed: Event,
        told: Sequence[Told | Aside] = (),
        also: Write | None = None,
        columns: Columns = NOTHING,
    ) -> None:
        """Take one event and what belongs to it; see make()."""
        writes = () if also is None else (also,)
        await self.make(Change(passed=passed, told=tuple(told), columns=columns, writes=writes))

    async def note(
        self,
        told: Sequence[Told | Aside] = (),
        *,
        also: Write | None = None,
        columns: Columns = NOTHING,
    ) -> None:
        """Commit columns that are no change of state (a name, a limit), with their event rows."""
        await self.step(told=told, also=also, columns=columns)

    async def make(self, change: Change) -> None:
        """Look the next state up, commit, then publish.

        Raises IllegalTransition before anything is written, StoreError if nothing could be.
        """
        state = reduce(next_state, change.passed, self.state)
        columns = {**change.columns, "state": str(state)} if change.passed else change.columns
        now = self._parts.now_ns()

        def write(conn: Connection) -> Row:
            for one in change.first:
                one(conn)
            row = containers.updated(self._inserted(conn, change), **columns)
            _tell(conn, now, row, change.told)  # a removed one has its networks no more
            containers.update(conn, self.id, **columns)
            for one in change.writes:
                one(conn)
            _tell(conn, now, row, change.unpublished)
            return row

        self.row = await self._parts.store.write(write)
        self.publish(*change.told)

    def _inserted(self, conn: Connection, change: Change) -> Row:
        """The row before its columns are changed: one that is new may just have been given its name."""
        return (containers.get(conn, self.id) if change.first else None) or self.row

    def publish(self, *told: Told | Aside) -> None:
        """Tell those who wait for the container; only after the commit."""
        for one in told:
            if not isinstance(one, Told):
                continue
            code = int(one.attributes.get("exitCode", "0"))
            self._parts.news.publish(Happening("container", self.id, one.action, code))


def _tell(conn: Connection, now_ns: int, row: Row, told: Sequence[Told | Aside]) -> None:
    for one in told:
        if isinstance(one, Told):
            add_event(conn, now_ns, row, one)
        else:
            one(conn, now_ns)


def add_event(conn: Connection, now_ns: int, row: Row, told: Told) -> None:
    """Write one event row of a container, with docker's usual attributes (image, name, labels)."""
    attributes = {"image": row.image_ref, "name": row.name, **_labels(row.config), **told.attributes}
    event_rows.note(conn, "container", told.action, row.id, attributes, caller=told.caller, now_ns=now_ns)


@lru_cache(maxsize=256)
def _labels(config: str) -> Mapping[str, str]:
    labels: dict[str, str] | None = json.loads(config).get("Labels")
    return labels or {}
