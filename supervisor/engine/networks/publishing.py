"""The ports of the host that a container has during one run: taken before its process is, led to it, and given back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address
from sqlite3 import Connection

import trio

from pysup.store import endpoints
from pysup.store.endpoints import Port
from pysup.supervisor.engine.containers.record import Record, Write
from pysup.supervisor.engine.networks.held_ports import HeldPorts
from pysup.supervisor.engine.networks.places import Place, led_to, published
from pysup.supervisor.engine.networks.ports import Ports, Refused, Taken, has_ipv6, still_wanted
from pysup.supervisor.engine.networks.refusals import refusal
from pysup.supervisor.engine.networks.relays import is_carried
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import PysupError
from pysup.supervisor.network.addresses import IPV4, IPV6
from pysup.supervisor.network.rules import ANY, Published
from pysup.supervisor.spec.container import Binding, NetworkSpec
from pysup.supervisor.spec.network import wanted_bindings
from pysup.supervisor.spec.networks import Options


class Publishing:
    """Which ports they are is a row of the store once the process runs; a random one is remembered there."""

    def __init__(self, parts: Parts, record: Record) -> None:
        self._parts = parts
        self._record = record
        self._ports = Ports()
        self._kept = HeldPorts(parts.link, record.id)
        self._led: list[Published] = []

    async def take(self, places: Sequence[Place]) -> None:
        """Take all that are asked for. Raises Conflict (who has one is said), Forbidden, Unavailable."""
        addresses = self._addresses(places)
        wanted = list(wanted_bindings(self._record.spec.network)) if addresses else []
        self._ports.take_over(self._kept.sockets())  # of an engine that had no time to note them
        kept, missing = still_wanted(wanted, self._ports.taken, addresses)
        await self._give_back([one for one in self._ports.taken if one not in kept])
        if not missing:
            return
        remembered = endpoints.ports(self._parts.store.read(), self._record.id, active=False)
        try:
            self._ports.take(missing, remembered, addresses)
        except Refused as error:
            raise await self._refused(error) from error

    def _addresses(self, places: Sequence[Place]) -> tuple[str, ...]:
        """Where a port is published that names no address: one for each IP version that leads to the container.

        IPv6 leads to one that has IPv4 alone, too, as docker's proxy does, if the host has IPv6.
        """
        chosen = next(filter(None, (Options(one.network.options).host_ip for one in places)), "")
        chosen = chosen or self._parts.settings.publish_default
        versions = [version for version in (IPV4, IPV6) if led_to(places, version)]
        if chosen:
            return (chosen,) if ip_address(chosen).version in versions else ()
        return tuple(ANY[version] for version in versions if version == IPV4 or has_ipv6())

    @asynccontextmanager
    async def changed(
        self, network: NetworkSpec, places: Sequence[Place]
    ) -> AsyncIterator[tuple[Write, ...]]:
        """In the block the ports of another spec are published, besides those that go when it ends.

        What it yields is to be committed in the block. If that fails, all is as before. Raises as take().
        """
        addresses = self._addresses(places)
        kept, missing = still_wanted(wanted_bindings(network), self._ports.taken, addresses)
        gone = [one for one in self._ports.taken if one not in kept]
        moved = [
            one for one in gone if any(binding.may_be(one.protocol, one.host_port) for binding in missing)
        ]
        await self._withdraw(moved, places)  # another port inside gets them
        try:
            new = await self._take_further(missing, addresses, places)
            try:
                yield (partial(_note, container_id=self._record.id, taken=[*kept, *new]),)
            except BaseException:
                with trio.CancelScope(shield=True):
                    await self._withdraw(new, places)
                raise
        except BaseException:
            with trio.CancelScope(shield=True):
                self._ports.take_again(self._rows(moved))
                await self._lead_further(moved, places)
            raise
        await self._withdraw([one for one in gone if one not in moved], places)

    async def _take_further(
        self, missing: Sequence[Binding], addresses: Sequence[str], places: Sequence[Place]
    ) -> list[Taken]:
        try:
            new = self._ports.take(missing, (), addresses)
        except Refused as error:
            raise await self._refused(error) from error
        try:
            await self._lead_further(new, places)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._withdraw(new, places)
            raise
        return new

    async def _lead_further(self, ports: Sequence[Taken], places: Sequence[Place]) -> None:
        await self._publish(list(published(self._rows(ports), places)))

    async def _withdraw(self, ports: Sequence[Taken], places: Sequence[Place]) -> None:
        await self._unpublish([one for one in published(self._rows(ports), places) if one in self._led])
        await self._give_back(ports)

    async def _give_back(self, ports: Sequence[Taken]) -> None:
        self._ports.give_back(ports)
        if ports:
            await self._kept.release(ports)

    async def _publish(self, led: Sequence[Published]) -> None:
        await (await self._parts.networks.fabric()).table.publish(led)
        self._led += led
        await self._relay(led)

    async def _relay(self, led: Sequence[Published]) -> None:
        home = (await self._parts.networks.fabric()).home.namespace
        for one in led:
            taken = Taken(one.protocol, one.host_ip, one.host_port, one.port)
            sock = self._ports.socket_of(taken)
            if sock is not None and is_carried(one, home):
                self._parts.networks.relays.begin(one, sock, home)
                if one.protocol == "tcp":
                    await self._kept.hold(taken, sock)

    async def _unpublish(self, led: Sequence[Published]) -> None:
        """Nobody has the sockets but the ports themselves afterwards."""
        await self._parts.networks.relays.end(led)
        self._led = [one for one in self._led if one not in led]
        if led:
            await (await self._parts.networks.fabric()).table.unpublish(led)

    async def _refused(self, error: Refused) -> PysupError:
        return await refusal(self._parts.store, self._record.row.name, error)

    async def take_again(self, places: Sequence[Place]) -> None:
        """Those that an earlier engine has published."""
        rows = endpoints.ports(self._parts.store.read(), self._record.id)
        self._ports.take_over(self._kept.sockets())
        known = self._ports.take_again(rows)
        await self._give_back([one for one in self._ports.taken if one not in known])
        self._led = list(published(rows, places))
        await self._relay(self._led)

    async def lead(self, places: Sequence[Place]) -> None:
        """Lead the ports to where the container is. Connections by those that lead there go on. Raises Unavailable."""
        wanted = list(published(self._rows(self._ports.taken), places))
        await self._unpublish([one for one in self._led if one not in wanted])
        if new := [one for one in wanted if one not in self._led]:
            await self._publish(new)

    def _rows(self, taken: Iterable[Taken]) -> list[Port]:
        return [
            Port(0, self._record.id, one.protocol, one.host_ip, one.host_port, one.port, active=True)
            for one in taken
        ]

    @property
    def writes(self) -> tuple[Write, ...]:
        """What is committed when the process runs."""
        taken = self._ports.taken
        return (partial(_note, container_id=self._record.id, taken=taken),) if taken else ()

    async def close(self) -> None:
        """Give them back."""
        try:
            await self._unpublish(self._led)
        finally:
            self._ports.close()
            await self._kept.release_all()


def _note(conn: Connection, container_id: str, taken: Sequence[Taken]) -> None:
    wanted = [(one.protocol, one.host_ip, one.host_port, one.port) for one in taken]
    endpoints.set_ports(conn, container_id, wanted)
