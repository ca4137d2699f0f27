"""A container's row as this engine knows it, and the one way in which it changes: step, persist, publish."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from sqlite3 import Connection
from types import MappingProxyType
from typing import NamedTuple

from pysup.store import containers, events
from pysup.store.containers import Container as Row
from pysup.supervisor.engine.commands import DAEMON, Caller
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.states import Event, State, next_state
from pysup.supervisor.spec.container import ContainerSpec

Write = Callable[[Connection], None]
Columns = Mapping[str, object]
NOTHING: Columns = MappingProxyType({})


class Told(NamedTuple):
    """An event row to write with a change: docker's action word and the attributes beside the usual ones."""

    action: str
    attributes: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple's default is never changed
    caller: Caller = DAEMON


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
        told: Sequence[Told] = (),
        also: Write | None = None,
        publish: bool = True,
        columns: Columns = NOTHING,
    ) -> None:
        """Take one event (or several that happen as one): look the next state up, commit, then publish.

        ``also`` writes to other tables in the same transaction (the run); without ``publish`` the caller
        publishes, when what follows the commit is done too. Raises IllegalTransition before anything is
        written, StoreError if nothing could be.
        """
        state = reduce(next_state, passed, self.state)
        await self._commit(told, also, {**columns, "state": str(state)})
        if publish:
            self.publish(*told)

    async def note(
        self,
        told: Sequence[Told] = (),
        *,
        also: Write | None = None,
        columns: Columns = NOTHING,
    ) -> None:
        """Commit columns that are no change of state (a name, a limit, a pid), with their event rows."""
        await self._commit(told, also, columns)
        self.publish(*told)

    async def _commit(self, told: Sequence[Told], also: Write | None, columns: Columns) -> None:
        now = self._parts.now_ns()

        def write(conn: Connection) -> Row | None:
            containers.update(conn, self.id, **columns)
            if also is not None:
                also(conn)
            for one in told:
                add_event(conn, now, self.row, one)
            return containers.get(conn, self.id)

        row = await self._parts.store.write(write)
        if row is not None:
            self.row = row

    def publish(self, *told: Told) -> None:
        """Tell those who wait; only after the commit."""
        for one in told:
            code = int(one.attributes.get("exitCode", "0"))
            self._parts.news.publish(Happening("container", self.id, one.action, code))


def add_event(conn: Connection, now_ns: int, row: Row, told: Told) -> None:
    """Write one event row of a container, with docker's usual attributes (image, name, labels)."""
    config = json.loads(row.config)
    attributes = {"image": row.image_ref, "name": row.name, **(config.get("Labels") or {}), **told.attributes}
    events.add(
        conn,
        time=now_ns,
        type="container",
        action=told.action,
        actor_id=row.id,
        attributes=attributes,
        caller_uid=told.caller.uid,
        caller_pid=told.caller.pid,
    )
