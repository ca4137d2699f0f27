"""A container's network while one run lasts, from first to last: addresses, interfaces, ports and names.

What is the container's own (endpoints, leases, ports) are rows of the store, and stay from run to run. What is this
run's goes with the network namespace, or is given back by close(). The interfaces themselves are plugging.py's.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from sqlite3 import Connection

import trio

from pysup.store import endpoints
from pysup.store.endpoints import Endpoint
from pysup.store.errors import StoreError
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.record import Record, Write
from pysup.supervisor.engine.containers.states import ALIVE
from pysup.supervisor.engine.networks.addressing import give_addresses
from pysup.supervisor.engine.networks.links import linked
from pysup.supervisor.engine.networks.name_files import (
    files_of_host,
    files_of_nobody,
    name_files,
    resolving,
    still_reached,
)
from pysup.supervisor.engine.networks.naming import named
from pysup.supervisor.engine.networks.places import Place, default_gateways, on_bridges, places_of, to_host
from pysup.supervisor.engine.networks.plugging import Plugging
from pysup.supervisor.engine.networks.publishing import Publishing
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.together import together
from pysup.supervisor.errors import PysupError
from pysup.supervisor.keeper.client.link import Process
from pysup.supervisor.kernel import netns
from pysup.supervisor.network import uplink_programs
from pysup.supervisor.network.names.resolv_conf import ResolvConf
from pysup.supervisor.runtime import rootfs
from pysup.supervisor.runtime.launch import Launched
from pysup.supervisor.spec.container import ContainerSpec, NetworkSpec

log = logging.getLogger(__name__)

_DYING = 2.0
"""Seconds that a process may take from its last word to its end."""


class Sandbox:
    """Made for each run. One without networks of its own has nothing to do."""

    def __init__(self, parts: Parts, record: Record, run: int) -> None:
        self._parts = parts
        self._record = record
        self._places: list[Place] = []
        self._turn = trio.Lock()
        """An endpoint comes or goes, or all of an earlier engine's are looked at: one after the other."""
        self._plugging = Plugging(parts, record, run)
        self._publishing = Publishing(parts, record)

    # -- before the process ----------------------------------------------------------------------------------

    async def prepare(self, begun: trio.Event) -> None:
        """Addresses and ports are there afterwards, and the files that tell of them.

        ``begun``: the container's rows are there, with its endpoints. Raises Conflict, Unavailable, BadRequest.
        """
        match self._record.spec.namespaces.net:
            case "bridge":
                await begun.wait()
                self._places = await self._addressed()
                await self._publishing.take(self._places)
                self._write(self._names(self._record.spec))
            case "host":
                self._write(files_of_host(self._record.spec.network, self._resolving()))
            case "none":
                self._write(self._names_of_nobody())

    async def _addressed(self) -> list[Place]:
        """An address that was given to somebody else while the container was at rest is replaced."""
        found = self._known_places()
        if all(place.addresses for place in found):
            return found
        await self._parts.store.write(partial(_give_all, container_id=self._record.id))
        return self._known_places()

    def _known_places(self) -> list[Place]:
        return places_of(self._parts.store.read(), self._record.id)

    def _names(self, spec: ContainerSpec) -> dict[str, str]:
        others = list(linked(self._parts.store.read(), self._places))
        return name_files(
            spec,
            self._places,
            others,
            self._resolving(),
            ways=self._ways(),
            resolver=bool(named(self._places)),
        )

    def _names_of_nobody(self) -> dict[str, str]:
        network = self._record.spec.network
        return files_of_nobody(network, self._servers(), self._ways() if network.extra_hosts else [])

    def _ways(self) -> list[str]:
        """By which addresses the host is reached, or would be: those of the default network, as with docker."""
        return to_host(self._places) or default_gateways(self._parts.store.read())

    def _write(self, files: Mapping[str, str]) -> None:
        rootfs.write_names(self._parts.settings.container_dir(self._record.id), self._record.spec, files)

    def _resolving(self) -> ResolvConf:
        return resolving(self._record.spec.network, self._servers())

    def _servers(self) -> list[str]:
        """The daemon's own name servers for containers; none: the host's."""
        return self._parts.settings.dns.split() or self._carried_servers()

    def _carried_servers(self) -> list[str]:
        """An ordinary user's container without a resolver of its own asks the program that leads it out: that asks
        the host's servers, those of its loopback, too.
        """
        alone = self._places and not named(self._places)
        return [uplink_programs.NAMES] if alone and not netns.is_governed() else []

    # -- beside the process ----------------------------------------------------------------------------------

    @property
    def connects(self) -> bool:
        """Whether the process has to wait for its network."""
        return bool(self._places)

    async def ready(self, launched: Launched) -> None:
        """Wait for a child's set-up, and plug its network in meanwhile. A later run's is plugged in already.

        Raises StartFailed, Unavailable, Conflict.
        """
        self._plugging.pid = launched.process.pid
        if not self._places:
            return await launched.ready()
        held = "net" in HeldNamespaces(self._parts.link, self._record.id).fds
        async with together() as nursery:
            if held:
                nursery.start_soon(self._go_on)
            else:
                nursery.start_soon(self._connect_unless_it_dies, launched.process)
            await launched.ready()
        return await self._publishing.lead(self._places)

    async def _connect_unless_it_dies(self, process: Process) -> None:
        """Who is not root may not look at a process that is about to end: why it does is for ready() to say."""
        try:
            await self._connect()
        except PermissionError:
            with trio.move_on_after(_DYING):
                await process.wait()
                return
            raise

    async def _connect(self) -> None:
        await self._plugging.connect(self._places, self._places)
        await self._serve_names()

    async def _go_on(self) -> None:
        """The network of an earlier run is there already."""
        await self._plugging.complete(self._places)
        await self._serve_names()

    async def _serve_names(self) -> None:
        naming, row = self._parts.networks.naming, self._record.row
        with self._plugging.namespace() as namespace:
            if namespace is None or not named(self._places):
                return await naming.end(row.id)
            naming.join(row, self._places)
            outside = not all(place.network.internal for place in self._places)
            return await naming.serve(row, namespace, self._resolving(), outside=outside)

    @property
    def writes(self) -> tuple[Write, ...]:
        """What is committed when the process runs."""
        return (*self._plugging.writes, *self._publishing.writes)

    # -- changes while it lasts ------------------------------------------------------------------------------

    async def plug_further(self, endpoint_id: str) -> None:
        """A further endpoint is in the store: plug it in, if there is a network namespace now."""
        async with self._turn:
            self._places = self._known_places()
            place = next(one for one in self._places if one.endpoint.id == endpoint_id)
            if not self._plugging.has(place.endpoint):  # else it was among those missing
                await self._plugging.connect(self._places, [place])
                await self._plugging.note()
        await self.changed()

    @asynccontextmanager
    async def published(self, network: NetworkSpec) -> AsyncIterator[tuple[Write, ...]]:
        """In the block other ports are published: Publishing.changed()."""
        async with self._publishing.changed(network, self._places) as writes:
            yield writes

    def renamed(self) -> None:
        """The container has another name."""
        if named(self._places):
            self._parts.networks.naming.join(self._record.row, self._places)

    async def unplug(self, endpoint: Endpoint) -> None:
        """Take an endpoint off, if it is plugged in; the container's end goes too."""
        async with self._turn:
            await self._plugging.unplug(endpoint)

    async def changed(self) -> None:
        """The endpoints are others now: names, default routes and published ports follow."""
        self._places = self._known_places()
        spec = still_reached(self._record.spec, self._ways())
        self._write(self._names_of_nobody() if spec.namespaces.net == "none" else self._names(spec))
        if self._plugging.is_there:
            await self._plugging.route(self._places)
            await self._publishing.lead(self._places)
            if self._record.state in ALIVE:  # between two runs nobody asks, and nobody would end what serves
                await self._serve_names()

    # -- taken over, and the end -----------------------------------------------------------------------------

    async def adopt(self, *, anew: bool) -> None:
        """An earlier engine has done all this; ``anew``: it had no time to note it.

        What cannot be looked after any more must not end the container.
        """
        try:
            async with self._turn:
                await self._take_over(anew=anew)
        except (PysupError, StoreError, OSError) as error:
            log.error("cannot take over the network of container %s: %s", self._record.row.name, error)

    async def _take_over(self, *, anew: bool) -> None:
        self._places = self._known_places()
        if anew:
            await self._plugging.find(self._places)
            await self._plugging.complete(self._places)
            await self._publishing.take(self._places)
            await self._publishing.lead(self._places)
        else:
            await self._publishing.take_again(self._places)
            await self._plugging.complete(self._places)
            await self._plugging.note()
        await self._serve_names()
        for place in on_bridges(self._places):
            await (await self._parts.networks.fabric()).bridge(place.network.id)

    async def close(self) -> None:
        """Give the ports back. The interfaces go with the network namespace."""
        with trio.CancelScope(shield=True):
            await self._parts.networks.naming.end(self._record.id)
            await self._publishing.close()


def _give_all(conn: Connection, container_id: str) -> None:
    for endpoint in endpoints.of_container(conn, container_id):
        give_addresses(conn, endpoint)
