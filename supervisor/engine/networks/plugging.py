"""The interfaces that one run of a container has in its network namespace: plugged in, finished, and taken off.

Which ones were plugged in on a bridge is noted in the store, by the name of the host's end. A macvlan and an ipvlan
have no such end: whether one is there, and set up, is asked of the namespace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from sqlite3 import Connection

from pysup.store import endpoints
from pysup.store.endpoints import Endpoint
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.record import Record, Write
from pysup.supervisor.engine.containers.states import ALIVE, State
from pysup.supervisor.engine.networks.places import Place, gateways, on_bridges
from pysup.supervisor.engine.networks.sharing import network_of
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.spec.networks import ON_PARENT

_OUTER, _SHORT, _RUNS = "pe", 8, 100_000
"""An interface's name has at most 15 characters; each namespace has another one, since the last may still be going."""


class Plugging:
    """Made for each run; ``pid`` is its first process, once there is one: the row has it a little later."""

    def __init__(self, parts: Parts, record: Record, run: int) -> None:
        self.pid = 0
        self._parts = parts
        self._record = record
        self._run = run
        self._devices: dict[str, str] = {}
        """What this engine has plugged in, by the endpoint's id: the host's end; empty: there is none."""

    @contextmanager
    def namespace(self) -> Iterator[int | None]:
        """A descriptor of the container's network namespace; None: it has none now, or its process is gone."""
        held = HeldNamespaces(self._parts.link, self._record.id).fds.get("net")
        alive = State(self._record.row.state) in ALIVE
        pid = self.pid or (self._record.row.pid if alive else 0)
        if held is None and not pid:
            yield None
            return
        try:
            namespace = os.dup(held) if held is not None else network_of(pid)
        except FileNotFoundError:
            yield None
            return
        try:
            yield namespace
        finally:
            os.close(namespace)

    @property
    def is_there(self) -> bool:
        """Whether the container has a network namespace now."""
        with self.namespace() as namespace:
            return namespace is not None

    async def connect(self, places: Sequence[Place], wanted: Iterable[Place]) -> None:
        """Plug in those that are wanted of all that there are; nothing happens without a namespace.

        Raises Unavailable, Conflict.
        """
        with self.namespace() as namespace:
            if namespace is None:
                return
            for place in wanted:
                await self._plug(namespace, places, place)

    async def _plug(self, namespace: int, places: Sequence[Place], place: Place) -> None:
        fabric = await self._parts.networks.fabric()
        device = self._device(place.endpoint)
        await fabric.plug(namespace, place, device, gateways(places, place))
        self._devices[place.endpoint.id] = "" if place.network.driver in ON_PARENT else device

    def _device(self, endpoint: Endpoint) -> str:
        return f"{_OUTER}{endpoint.id[:_SHORT]}{self._run % _RUNS}"

    def has(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint is known to be plugged in."""
        return bool(endpoint.device) or endpoint.id in self._devices

    async def complete(self, places: Sequence[Place]) -> None:
        """Finish what an engine has made half of that was killed while a container came on a network.

        Raises as connect().
        """
        unsure = [place for place in places if not self.has(place.endpoint)]
        if not unsure:
            return
        fabric = await self._parts.networks.fabric()
        with self.namespace() as namespace:
            if namespace is None:
                return
            for place in unsure:
                if place.network.driver in ON_PARENT and await fabric.beside.is_plugged(namespace, place):
                    continue
                await fabric.unplug(namespace, place.endpoint)
                await self._plug(namespace, places, place)

    async def find(self, places: Sequence[Place]) -> None:
        """Know what an earlier engine has plugged in for this run: nothing, where the network was held already."""
        there = await (await self._parts.networks.fabric()).devices()
        devices = {one.endpoint.id: self._device(one.endpoint) for one in on_bridges(places)}
        self._devices = {endpoint_id: device for endpoint_id, device in devices.items() if device in there}

    async def unplug(self, endpoint: Endpoint) -> None:
        """Take an endpoint off, if it is plugged in; the container's end goes too."""
        self._devices.pop(endpoint.id, None)
        with self.namespace() as namespace:
            await (await self._parts.networks.fabric()).unplug(namespace, endpoint)

    async def route(self, places: Sequence[Place]) -> None:
        """Let the default routes go where they should by now. Raises Unavailable."""
        with self.namespace() as namespace:
            if namespace is None:
                return
            for place in places:
                fabric = await self._parts.networks.fabric()
                await fabric.route(namespace, place, gateways(places, place))

    # -- the store -------------------------------------------------------------------------------------------

    @property
    def writes(self) -> tuple[Write, ...]:
        """What is committed when the process runs."""
        devices = {one: device for one, device in self._devices.items() if device}
        return (partial(_note_devices, devices=devices),) if devices else ()

    async def note(self) -> None:
        """Commit it now: the process runs already."""
        for write in self.writes:
            await self._parts.store.write(write)


def _note_devices(conn: Connection, devices: Mapping[str, str]) -> None:
    for endpoint_id, device in devices.items():
        endpoints.set_device(conn, endpoint_id, device)
