"""What the kernel has of the networks: bridges, and one nftables table (table.py), made when first needed.

The store says what there should be. What somebody took away meanwhile is noticed by the kernel's refusal, and made
again from the store. To be imported in a thread, and late: pyroute2 takes 0.3 s.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

import trio

from pysup.store import endpoints
from pysup.store.endpoints import Endpoint
from pysup.store.networks import Network, Subnet
from pysup.store.store import Store
from pysup.supervisor.engine.networks.beside import Beside
from pysup.supervisor.engine.networks.descriptions import (
    Described,
    bridge_of,
    describe,
    mac_of_bridge,
    plug_of,
    ruled_of,
    versions_of,
)
from pysup.supervisor.engine.networks.forwarding import (
    Forwarding,
    is_switched_off,
    set_sysctl,
    switch_device_on,
    sysctl_of,
)
from pysup.supervisor.engine.networks.home import Home
from pysup.supervisor.engine.networks.ownership import WITHOUT_NETWORK
from pysup.supervisor.engine.networks.places import Place
from pysup.supervisor.engine.networks.repairs import Repairs
from pysup.supervisor.engine.networks.table import Table
from pysup.supervisor.engine.news import NewsDesk
from pysup.supervisor.errors import PysupError, Unavailable
from pysup.supervisor.network import wiring
from pysup.supervisor.network.devices import trouble_with_bridge
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.inside import run_inside
from pysup.supervisor.network.kernel_parts import refused_link
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.network.rules import Ruled
from pysup.supervisor.network.wiring import Plug
from pysup.supervisor.spec.network import BRIDGE
from pysup.supervisor.spec.networks import ON_PARENT

log = logging.getLogger(__name__)


class Fabric:
    """One for each daemon, in its home's network namespace."""

    def __init__(
        self, store: Store, news: NewsDesk, firewall: Firewall, forwarding: Forwarding, home: Home
    ) -> None:
        self.home = home
        self._store = store
        self._repairs = Repairs(store, news)
        self._forwarding = forwarding
        self._host = Netlink(home.namespace)
        self._bridges: dict[str, int] = {}
        """Index by network id; what is here is ruled, too."""
        self._unrepaired: set[str] = set()
        """Networks whose bridge was broken and could not be made anew; where nobody is, the next to come makes it."""
        self.beside = Beside(self._host)
        self.table = Table(store, firewall, forwarding, home, raised=self._bridges.keys)
        self._turn = self.table.turn

    # -- networks --------------------------------------------------------------------------------------------

    async def bridge(self, network_id: str) -> int:
        """The index of a network's bridge, which is there and ruled afterwards. Raises Unavailable, Conflict."""
        if network_id not in self._bridges:
            async with self._turn:
                if network_id not in self._bridges:
                    return await self._make(network_id)
        return self._bridges[network_id]

    async def _make(self, network_id: str) -> int:
        """What it gives is right even if somebody finds the bridge broken again before this ends (_repaired)."""
        network, subnets = await self._described(network_id)
        await self.table.own(f"make network {network.name}")
        if not network.internal:
            await self.home.lead_out()
        ruled = ruled_of(network, subnets)
        await self.table.add(network, ruled)
        try:
            index = await self._raise_bridge(network, subnets)
            await self._forward(versions_of(subnets))
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._take_back(network, ruled)
            raise
        self._bridges[network_id] = index
        await self._put_back(network_id, index)
        await self.table.warn_of_droppers(network)
        return index

    async def _raise_bridge(self, network: Network, subnets: Sequence[Subnet]) -> int:
        try:
            index = await wiring.ensure_bridge(self._host, bridge_of(network, subnets, self.home.mtu))
        except NetlinkError as error:
            cause = refused_link("bridge", error.errno or 0) or str(error)
            raise Unavailable(f"cannot make network {network.name}: {cause}; {WITHOUT_NETWORK}") from error
        await set_sysctl(f"ipv4/conf/{network.device}/route_localnet", "1", self.home.namespace)
        return index

    async def _take_back(self, network: Network, ruled: Ruled) -> None:
        """Not all of it could be made: nothing of it is there, unless a container has it already."""
        await self.table.take_out(network, ruled)
        if not await self._is_in_use(network.id):
            with suppress(NetlinkError):
                await wiring.remove_bridge(self._host, network.device, mac_of_bridge(network))

    async def _is_in_use(self, network_id: str) -> bool:
        """Whether a container has it already."""
        on_it = await self._store.query(partial(endpoints.alive_on, network_id=network_id))
        return any(one.device for one in on_it)

    async def _described(self, network_id: str) -> Described:
        return await self._store.query(partial(describe, network_id=network_id))

    async def _forward(self, versions: Iterable[int]) -> dict[int, str]:
        """The machine becomes a router for us, and for nobody else: what it did not forward before is dropped.

        The versions that were off, and their sysctls. Raises Unavailable.
        """
        off = {
            version: sysctl_of(version)
            for version in sorted(versions)
            if not await self._forwarding.is_on(version)
        }
        if off:
            with self._forwarding.claimed(off):
                await self.table.found()
                for version in off:
                    await self._forwarding.switch_on(version)
        return off

    async def trouble_with_device(self, network: Network) -> str:
        """Why a network that is to be made cannot have its interface; empty: it can. Raises Unavailable."""
        if network.driver == BRIDGE:
            return await trouble_with_bridge(self._host, network.device)
        return await self.beside.trouble(network)

    async def remove(self, network: Network) -> None:
        """Take a network's bridge and its rules away; it does not matter if they are gone.

        The default network's is called and known alike by all daemons, so it may be that of another one.
        """
        async with self._turn:
            described = await self._described(network.id)
            self._bridges.pop(network.id, None)
            self._unrepaired.discard(network.id)
            if self.table.knows(network.id) or (not self.table.founded and await self._has_bridge(network)):
                await self.table.take_out(network, ruled_of(*described))
            if self.home.ownership.is_ours or not network.builtin:
                await wiring.remove_bridge(self._host, network.device, mac_of_bridge(network))

    async def _has_bridge(self, network: Network) -> bool:
        return await wiring.has_bridge(self._host, network.device, mac_of_bridge(network))

    # -- containers on them ----------------------------------------------------------------------------------

    async def plug(self, namespace: int, place: Place, device: str, gateways: Sequence[str]) -> None:
        """Put a network namespace (a descriptor) in its place; ``device`` is the host's end. Raises Unavailable."""
        network = place.network
        try:
            if network.driver in ON_PARENT:
                await self.beside.plug(namespace, place, gateways)
            else:
                plug = plug_of(place, device, gateways, await self.bridge(network.id), mtu=self.home.mtu)
                await self._plug_in(namespace, plug, network.id)
        except NetlinkError as error:
            kind = network.driver if network.driver in ON_PARENT else "veth"
            cause = refused_link(kind, error.errno or 0) or str(error)
            raise Unavailable(f"cannot connect to network {network.name}: {cause}") from error

    async def _plug_in(self, namespace: int, plug: Plug, network_id: str) -> None:
        try:
            await wiring.plug_in(self._host, namespace, plug)
        except NetlinkError:
            if await wiring.is_bridge(self._host, plug.bridge):
                raise
            repaired = replace(plug, bridge=await self._repaired(network_id, plug.bridge))
            await wiring.plug_in(self._host, namespace, repaired)

    async def devices(self) -> frozenset[str]:
        """The names of all interfaces beside our bridges."""
        return frozenset(name for _, name in await run_inside(self.home.namespace, socket.if_nameindex))

    async def unplug(self, namespace: int | None, endpoint: Endpoint) -> None:
        """Take an endpoint off; of a pair, both ends go. ``namespace``: the container's, if it has one now."""
        if endpoint.device:
            await wiring.unplug(self._host, endpoint.device)
        elif namespace is not None:
            await wiring.take_out(namespace, endpoint.interface)

    async def route(self, namespace: int, place: Place, gateways: Sequence[str]) -> None:
        """Let the default routes of a namespace go through a place of it. Raises Unavailable."""
        try:
            await wiring.route(
                namespace, place.endpoint.interface, [ip_address(gateway) for gateway in gateways]
            )
        except NetlinkError as error:
            raise Unavailable(f"cannot route by network {place.network.name}: {error}") from error

    async def _put_back(self, network_id: str, index: int) -> None:
        """Those who were on a bridge that somebody deleted are on the new one; a first one has nobody yet."""
        for endpoint in await self._store.query(partial(endpoints.alive_on, network_id=network_id)):
            await wiring.put_back(self._host, endpoint.device, index)

    # -- what others did -------------------------------------------------------------------------------------

    async def remake_rules(self, by: str) -> None:
        """Somebody took rules of ours away: make them all anew, and say so. Raises Unavailable.

        So also where no container needs them now: what the machine forwards for us it may not forward for others.
        """
        async with self._turn:
            ruled = list(self._bridges)
            if not ruled and not self.table.founded:
                return
            await self.table.found()
        await self._repairs.rules(ruled, by)

    async def restore_forwarding(self) -> bool:
        """Switch on again what somebody switched off; from then on it is on for our bridges alone."""
        async with self._turn:
            described = [await self._described(one) for one in self._bridges]
            versions = {network.id: versions_of(subnets) for network, subnets in described}
            on_again = await self._forward(frozenset().union(*versions.values()))
            lost = {one: [on_again[v] for v in versions[one] if v in on_again] for one in versions}
            for network, _ in described:
                if await is_switched_off(network.device, self.home.namespace):
                    lost[network.id].append(await switch_device_on(network.device, self.home.namespace))
        for network_id, names in lost.items():
            for name in names:
                await self._repairs.forwarding(network_id, name)
        return any(lost.values())

    async def restore_bridges(self, touched: AbstractSet[int] | None) -> bool:
        """Bring bridges of ours to what they should be, if they are among these interfaces (None: all are).

        So with the way out of an ordinary user's, and with those that could not be repaired before.
        """
        led = await self._led_out_again(touched)
        broken = {one: index for one, index in self._bridges.items() if touched is None or index in touched}
        for one in sorted(self._unrepaired):
            if one in self._bridges or not await self._is_in_use(one):
                self._unrepaired.discard(one)
        wanted = [*broken, *self._unrepaired]
        for network_id in wanted:
            try:
                await self._repaired(network_id, broken.get(network_id))
            except (PysupError, OSError) as error:  # the others are to be repaired all the same
                log.error("cannot repair the bridge of network %s: %s", network_id[:12], error)
        return led or bool(wanted)

    async def _led_out_again(self, touched: AbstractSet[int] | None) -> bool:
        try:
            return await self.home.restore(touched)
        except (PysupError, OSError) as error:  # within the machine networks work without it
            log.error("cannot lead networks out again: %s", error)
            return True

    async def _repaired(self, network_id: str, broken: int | None) -> int:
        """Somebody deleted a bridge of ours, or its address: make it anew, with those who were on it, and say so.

        ``broken``: its index; None: it could not be made. Where another task has seen it, too, that one makes the
        bridge. The new one's index.
        """
        if self._bridges.get(network_id) != broken:
            return await self.bridge(network_id)
        self._bridges.pop(network_id, None)
        try:
            index = await self.bridge(network_id)
        except BaseException:
            self._unrepaired.add(network_id)
            raise
        self._unrepaired.discard(network_id)
        await self._repairs.bridge(network_id)
        return index
