"""Which containers there are, and the one owner of each one's state."""

from __future__ import annotations

import trio

from pysup.store import containers
from pysup.store.containers import Container as Row
from pysup.store.errors import Ambiguous, Missing
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.specs import spec_of
from pysup.supervisor.engine.containers.states import State
from pysup.supervisor.engine.networks.links import find_by_any_name
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import BadRequest, NotFound

IDLE_KEPT = 64
"""Containers at rest that are remembered at least, since commands for one container mostly come in a row."""


class Roster:
    """One for each engine; the containers' tasks run in its nursery."""

    def __init__(self, parts: Parts, nursery: trio.Nursery) -> None:
        self._parts = parts
        self._nursery = nursery
        self._owners: dict[str, Container] = {}
        self._most_kept = IDLE_KEPT

    def find(self, ref: str) -> Row:
        """A container's row by id, name or unique prefix of the id, or by another one's link: ``web/db``.

        Raises NotFound, BadRequest if ambiguous.
        """
        known = self._owners.get(ref)
        if known is not None and known.record.state is not State.REMOVED:
            return known.record.row
        try:
            return find_by_any_name(self._parts.store.read(), ref.removeprefix("/"))
        except Missing:
            raise NotFound(f"cannot find container {ref}: No such container: {ref}") from None
        except Ambiguous as error:
            raise BadRequest(f"cannot find container {ref}: the prefix is that of several ids") from error

    def find_removed(self, ref: str) -> Row:
        """The row of the last removed container of this name that is still remembered. Raises NotFound."""
        try:
            return containers.find_removed(self._parts.store.read(), ref)
        except LookupError:
            raise NotFound(f"cannot find container {ref}: No such container: {ref}") from None

    def owner(self, ref: str) -> Container:
        """The owner of a container's state; made when it is first needed, forgotten when it has nothing to do."""
        row = self.find(ref)
        known = self._owners.get(row.id)
        return known or self.enter(Record(self._parts, row, spec_of(self._parts.images, row)))

    def enter(self, record: Record) -> Container:
        """The owner of a container that is being made; if somebody was quicker, the one that it has.

        Those that have nothing to do cost only memory: they are forgotten when they are too many.
        """
        if record.id in self._owners:
            return self._owners[record.id]
        if len(self._owners) >= self._most_kept:
            for container in [each for each in self._owners.values() if not each.busy]:
                del self._owners[container.record.id]
            self._most_kept = 2 * len(self._owners) + IDLE_KEPT
        container = self._owners[record.id] = Container(self._parts, record, self._nursery)
        return container

    def strike(self, container_id: str) -> None:
        """Forget a container whose row never came to be."""
        self._owners.pop(container_id, None)

    def has_row(self, container_id: str) -> bool:
        """Whether the store knows it, removed or not."""
        return containers.get(self._parts.store.read(), container_id) is not None

    def state_of(self, container_id: str) -> State:
        """The observed state; that of one whose row is gone is "removed"."""
        row = containers.get(self._parts.store.read(), container_id)
        return State.REMOVED if row is None else State(row.state)
