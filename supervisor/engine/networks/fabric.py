"""What the kernel has of the networks: bridges and one nftables table, made when a container first needs them.

The store says what there should be. What somebody took away meanwhile is noticed by the kernel's refusal, and made
again from the store. To be imported in a thread, and late: pyroute2 takes 0.3 s.
"""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import ip_address, ip_network
from sqlite3 import Connection

import trio

from pysup.store import endpoints, networks
from pysup.store.endpoints import Endpoint
from pysup.store.networks import Network, Subnet
from pysup.store.store import Store
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.networks.forwarding import (
    Forwarding,
    is_switched_off,
    set_sysctl,
    switch_device_on,
    sysctl_of,
)
from pysup.supervisor.engine.networks.home import Home
from pysup.supervisor.engine.networks.places import Place, all_published
from pysup.supervisor.engine.news import Happening, NewsDesk
from pysup.supervisor.errors import NotFound, Unavailable
from pysup.supervisor.kernel import netns
from pysup.supervisor.network import addresses, rules, wiring
from pysup.supervisor.network.addresses import IPV4
from pysup.supervisor.network.devices import trouble_with_bridge, trouble_with_parent
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.hooks import droppers
from pysup.supervisor.network.kernel_parts import lacking, refused_link
from pysup.supervisor.network.neighbours import neighbours
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.network.passing import chains_passed
from pysup.supervisor.network.probing import missing_rules
from pysup.supervisor.network.rules import Published, Ruled, ip_version
from pysup.supervisor.network.wiring import Bridge, Placed, Plug
from pysup.supervisor.spec.joining import link_local, sysctls_of
from pysup.supervisor.spec.network import BRIDGE
from pysup.supervisor.spec.networks import ON_PARENT, Options

log = logging.getLogger(__name__)

_WITHOUT = "--network none and host work without it"

Described = tuple[Network, list[Subnet]]


class Fabric:
    """One for each daemon, in its home's network namespace."""

    def __init__(
        self, store: Store, news: NewsDesk, firewall: Firewall, forwarding: Forwarding, home: Home
    ) -> None:
        self.home = home
        self._store = store
        self._news = news
        self._firewall = firewall
        self._forwarding = forwarding
        self._host = Netlink(home.namespace)
        self._bridges: dict[str, int] = {}
        """Index by network id; what is here is ruled, too."""
        self._ruled: set[str] = set()
        """The networks that the table rules, as far as is known; their containers may be yet to be looked at."""
        self._founded = False
        """Whether the table is there and as it should be, as far as is known."""
        self._published: set[Published] = set()
        """What this engine has published; rows tell of it a little later."""
        self._led: set[Published] = set()
        """What the table leads, as far as is known."""
        self._spared: set[str] = set()
        """Bridges of other managers, of which the table knows."""
        self._turn = trio.Lock()

    # -- networks --------------------------------------------------------------------------------------------

    async def bridge(self, network_id: str) -> int:
        """The index of a network's bridge, which is there and ruled afterwards. Raises Unavailable, Conflict."""
        if network_id not in self._bridges:
            async with self._turn:
                if network_id not in self._bridges:
                    await self._make(network_id)
        return self._bridges[network_id]

    async def _make(self, network_id: str) -> None:
        network, subnets = await self._described(network_id)
        if not network.internal:
            await self.home.lead_out()
        ruled = _ruled(network, subnets)
        await self._apply(rules.add_network(ruled), f"rule network {network.name}")
        try:
            self._ruled.add(network_id)
            index = await self._raise_bridge(network, subnets)
            await self._forward(_versions(subnets))
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._take_back(network, ruled)
            raise
        self._bridges[network_id] = index
        await self._put_back(network_id, index)
        await self._warn_of_droppers(network)

    async def _raise_bridge(self, network: Network, subnets: Sequence[Subnet]) -> int:
        try:
            index = await wiring.ensure_bridge(self._host, _bridge(network, subnets, self.home.mtu))
        except NetlinkError as error:
            cause = refused_link("bridge", error.errno or 0) or str(error)
            raise Unavailable(f"cannot make network {network.name}: {cause}; {_WITHOUT}") from error
        set_sysctl(f"ipv4/conf/{network.device}/route_localnet", "1", self.home.namespace)
        return index

    async def _take_back(self, network: Network, ruled: Ruled) -> None:
        """Not all of it could be made: nothing of it is there, unless a container has it already."""
        await self._forget(rules.remove_network(ruled), f"take back network {network.name}")
        self._ruled.discard(network.id)
        on_it = await self._store.query(partial(endpoints.alive_on, network_id=network.id))
        if not any(one.device for one in on_it):
            with suppress(NetlinkError):
                await wiring.remove_bridge(self._host, network.device, _mac(network))

    async def _warn_of_droppers(self, network: Network) -> None:
        """What another firewall drops stays dropped: no rule of ours can change that, so it is said."""
        for chain in droppers(await chains_passed(self._firewall), rules.TABLE):
            log.warning(
                "chain %s of table %s drops what is forwarded unless it accepts it: network %s works once it accepts "
                "%s (README, Networks)",
                chain.chain, chain.table, network.name, network.device,
            )  # fmt: skip

    async def _described(self, network_id: str) -> Described:
        return await self._store.query(partial(_described, network_id=network_id))

    async def _forward(self, versions: Iterable[int]) -> dict[int, str]:
        """The machine becomes a router for us, and for nobody else: what it did not forward before is dropped.

        The versions that were off, and their sysctls. Raises Unavailable.
        """
        off = {
            version: sysctl_of(version) for version in sorted(versions) if not self._forwarding.is_on(version)
        }
        if off:
            with self._forwarding.claimed(off):
                await self._found()
                for version in off:
                    self._forwarding.switch_on(version)
        return off

    async def _apply(self, commands: str, what: str) -> None:
        """Add to the table; one that somebody flushed, or changed, is made anew. Raises Unavailable."""
        if self._founded:
            try:
                await self._firewall.apply(commands, what)
            except Unavailable as error:
                log.warning("%s; making the table anew", error)
            else:
                return
        await self._found()
        await self._firewall.apply(commands, what)

    async def _found(self, besides: Iterable[Published] = ()) -> None:
        """Make the table, in one transaction: all networks that are there or in use, and all ports but some.

        So no network is without its rules while an engine that has just begun looks at one container after the other.
        """
        self._founded = False
        ruled = await self._store.query(partial(_all_ruled, known=tuple(self._bridges)))
        ports = self._published.union(await self._store.query(all_published)).difference(besides)
        self._spared = await self._neighbours()
        guarded = sorted(self._forwarding.guarded)
        whole = rules.whole(ruled.values(), sorted(ports), guarded=guarded, spared=sorted(self._spared))
        try:
            await self._firewall.apply(whole, "set up the firewall")
        except Unavailable as error:
            missing = await missing_rules(self._firewall)
            cause = f"cannot set up the firewall: {lacking(missing)}" if missing else str(error)
            raise Unavailable(f"{cause}; {_WITHOUT}") from error
        self._founded, self._led, self._ruled = True, ports, set(ruled)

    async def trouble_with_device(self, network: Network) -> str:
        """Why a network that is to be made cannot have its interface; empty: it can. Raises Unavailable."""
        if network.driver == BRIDGE:
            return await trouble_with_bridge(self._host, network.device)
        try:
            mode = Options(network.options).mode(network.driver)
            return await trouble_with_parent(self._host, network.device, network.driver, mode)
        except NetlinkError as error:
            raise Unavailable(f"cannot try interface {network.device}: {error}") from error

    async def remove(self, network: Network) -> None:
        """Take a network's bridge and its rules away; it does not matter if they are gone."""
        async with self._turn:
            described = await self._described(network.id)
            self._bridges.pop(network.id, None)
            if network.id in self._ruled or (
                not self._founded and await wiring.has_bridge(self._host, network.device, _mac(network))
            ):
                await self._forget(
                    rules.remove_network(_ruled(*described)), f"take back network {network.name}"
                )
            self._ruled.discard(network.id)
            await wiring.remove_bridge(self._host, network.device, _mac(network))

    # -- containers on them ----------------------------------------------------------------------------------

    async def plug(self, namespace: int, place: Place, device: str, gateways: Sequence[str]) -> None:
        """Put a network namespace (a descriptor) in its place; ``device`` is the host's end. Raises Unavailable."""
        network = place.network
        try:
            if network.driver in ON_PARENT:
                options = Options(network.options)
                parent = await wiring.find_parent(self._host, options.parent)
                plug = plug_of(place, device, gateways, parent)
                mode = options.mode(network.driver)
                await wiring.put_beside(self._host, namespace, plug, network.driver, mode)
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
            repaired = replace(plug, bridge=await self._repaired(network_id))
            await wiring.plug_in(self._host, namespace, repaired)

    def has(self, device: str) -> bool:
        """Whether the host's end of a pair is there."""
        return device in (name for _, name in netns.run_inside(self.home.namespace, socket.if_nameindex))

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

    async def tidy(self) -> None:
        """Bring the table of an earlier engine to what there should be, if there is one. Raises Unavailable."""
        async with self._turn:
            if not self._founded and await self._is_there():
                await self._found()

    async def _is_there(self) -> bool:
        try:
            await self._firewall.apply(f"list chain {rules.TABLE} strangers", "look for the table")
        except Unavailable:
            return False
        return True

    # -- what others did -------------------------------------------------------------------------------------

    async def remake_rules(self, by: str) -> None:
        """Somebody took rules of ours away: make them all anew, and say so. Raises Unavailable."""
        async with self._turn:
            ruled = list(self._bridges)
            if ruled:
                await self._found()
        log.warning("%s deleted rules of pysup: they are made anew", by)
        for network_id in ruled:
            await self._tell_repair(network_id, {"what": "rules", "by": by})

    async def restore_forwarding(self) -> bool:
        """Switch on again what somebody switched off; from then on it is on for our bridges alone."""
        async with self._turn:
            described = [await self._described(one) for one in self._bridges]
            versions = {network.id: _versions(subnets) for network, subnets in described}
            on_again = await self._forward(frozenset().union(*versions.values()))
            lost = {one: [on_again[v] for v in versions[one] if v in on_again] for one in versions}
            for network, _ in described:
                if is_switched_off(network.device, self.home.namespace):
                    lost[network.id].append(switch_device_on(network.device, self.home.namespace))
        for network_id, names in lost.items():
            for name in names:
                log.warning("somebody switched %s off: it is on again", name)
                await self._tell_repair(network_id, {"what": "forwarding", "sysctl": name})
        return any(lost.values())

    async def spare_neighbours(self) -> bool:
        """Leave other managers' bridges alone that have come meanwhile. Raises Unavailable."""
        async with self._turn:
            new = await self._neighbours() - self._spared
            if new and self._founded:
                await self._apply("\n".join(map(rules.spare, sorted(new))), "spare the bridges of others")
                self._spared |= new
        return bool(new)

    async def _neighbours(self) -> set[str]:
        own = await self._store.query(_devices)
        there = netns.run_inside(self.home.namespace, socket.if_nameindex)
        return set(neighbours((name for _, name in there), own))

    async def restore_bridges(self, touched: AbstractSet[int] | None) -> bool:
        """Bring bridges of ours to what they should be, if they are among these interfaces (None: all are).

        So with the way out of an ordinary user's.
        """
        led = await self.home.restore(touched)
        bridges = [one for one, index in self._bridges.items() if touched is None or index in touched]
        for network_id in bridges:
            await self._repaired(network_id)
        return led or bool(bridges)

    async def _repaired(self, network_id: str) -> int:
        """Somebody deleted a bridge of ours, or its address: make it anew, with those who were on it, and say so."""
        self._bridges.pop(network_id, None)
        index = await self.bridge(network_id)
        log.warning("the bridge of network %s was deleted or changed: it is made anew", network_id[:12])
        await self._tell_repair(network_id, {"what": "bridge"})
        return index

    async def _tell_repair(self, network_id: str, told: dict[str, str]) -> None:
        await self._store.write(partial(_note_repair, network_id=network_id, told=told))
        self._news.publish(Happening("network", network_id, "repair"))

    # -- ports -----------------------------------------------------------------------------------------------

    async def publish(self, ports: Sequence[Published]) -> None:
        """Lead ports of the host into a container; a table that somebody flushed is made anew. Raises Unavailable."""
        if led := [port for port in ports if port.is_led]:
            async with self._turn:
                await self._apply(rules.publish(led), "publish ports")
                self._published.update(led)
                self._led.update(led)

    async def unpublish(self, ports: Sequence[Published]) -> None:
        """Take them back: those that the table leads. It may have been made anew since a container ended."""
        if led := [port for port in ports if port.is_led]:
            async with self._turn:
                self._published.difference_update(led)
                there = self._led.intersection(led)
                self._led -= there
                if there or not self._founded:
                    await self._forget(rules.unpublish(sorted(there)), "take ports back", led)

    async def _forget(self, commands: str, what: str, ports: Iterable[Published] = ()) -> None:
        """Take something out of the table. One that is not known to have it is made anew, from the store, without it:
        that of an earlier engine, which somebody may have flushed since, or one that has proved to be another."""
        try:
            if self._founded:
                await self._firewall.apply(commands, what)
                return
        except Unavailable as error:
            log.warning("%s; making the table anew", error)
        try:
            await self._found(besides=ports)
        except Unavailable as error:
            log.warning("%s", error)


def _described(conn: Connection, network_id: str) -> Described:
    network = networks.get(conn, network_id)
    if network is None:
        raise NotFound(f"cannot find network {network_id}: network {network_id} not found")
    return network, networks.subnets(conn, network_id)


def _versions(subnets: Iterable[Subnet]) -> frozenset[int]:
    return frozenset(ip_version(one.subnet) for one in subnets)


def _mac(network: Network) -> str:
    """By which its bridge is known, whoever has made it."""
    return addresses.mac_of(hashlib.sha256(network.id.encode()).digest())


def _bridge(network: Network, subnets: Sequence[Subnet], mtu: int) -> Bridge:
    placed = [(ip_address(one.gateway), ip_network(one.subnet)) for one in subnets if one.gateway]
    return Bridge(network.device, _mac(network), tuple(placed), Options(network.options).mtu or mtu)


def plug_of(place: Place, device: str, gateways: Sequence[str], bridge: int, *, mtu: int = 0) -> Plug:
    """How a container is put in its place; ``mtu``: where the network does not say."""
    options, endpoint = Options(place.network.options), place.endpoint
    addresses = [(ip_address(lease.address), ip_network(subnet.subnet)) for lease, subnet in place.addresses]
    addresses += [_link_local(text) for text in link_local(endpoint.asked)]
    return Plug(
        outer=device,
        bridge=bridge,
        inner=endpoint.interface,
        mac=endpoint.mac,
        addresses=tuple(addresses),
        gateways=tuple(map(ip_address, gateways)),
        isolated=not options.icc,
        mtu=options.mtu or mtu,
        sysctls=sysctls_of(endpoint.asked, endpoint.interface),
    )


def _link_local(text: str) -> Placed:
    """Docker's masks (moby libnetwork/osl)."""
    length = 16 if ip_version(text) == IPV4 else 64
    return ip_address(text), ip_network(f"{text}/{length}", strict=False)


def _ruled(network: Network, subnets: Iterable[Subnet]) -> Ruled:
    options = Options(network.options)
    return Ruled(
        network.device,
        tuple(one.subnet for one in subnets),
        internal=network.internal,
        icc=options.icc,
        masquerade=options.masquerade,
    )


def _all_ruled(conn: Connection, known: Iterable[str]) -> dict[str, Ruled]:
    """Networks that are known to be there, and those that a container is on, by their ids."""
    wanted = dict.fromkeys((*known, *endpoints.alive_networks(conn)))
    described = (_described(conn, one) for one in wanted)
    return {
        network.id: _ruled(network, subnets) for network, subnets in described if network.driver == BRIDGE
    }


def _devices(conn: Connection) -> list[str]:
    """Bridges of ours, whether a container is on them or not."""
    return [network.device for network in networks.list_networks(conn)]


def _note_repair(conn: Connection, network_id: str, told: dict[str, str]) -> None:
    network = networks.get(conn, network_id)
    if network is not None:
        named = {"name": network.name, "type": network.driver}
        event_rows.note(conn, "network", "repair", network_id, {**named, **told})
