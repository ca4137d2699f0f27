"""Networks as containers and the API use them: rows in the store; what the kernel has of them is fabric.py's.

A network's bridge is made when its first container starts, so a network that nobody uses costs a row. It goes before
the row does: what a crash leaves is a row, and the next ``network rm`` goes on.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_interface, ip_network
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any

import trio

from pysup.store import containers, endpoints, networks
from pysup.store.errors import Ambiguous, Missing, NameTaken, StoreError
from pysup.store.networks import Network as Row
from pysup.store.networks import Subnet
from pysup.store.store import Store
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.containers.commands import Caller
from pysup.supervisor.engine.networks import held
from pysup.supervisor.engine.networks.forwarding import Forwarding
from pysup.supervisor.engine.networks.naming import Naming
from pysup.supervisor.engine.networks.relays import Relays
from pysup.supervisor.engine.news import Happening, NewsDesk
from pysup.supervisor.errors import BadRequest, Conflict, Forbidden, NotFound, PysupError, Unavailable
from pysup.supervisor.keeper.link import Link
from pysup.supervisor.kernel import netns
from pysup.supervisor.kernel.features import Feature
from pysup.supervisor.network import addresses, routes, uplink_programs
from pysup.supervisor.network.addresses import IPV4, IPV6, Network
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.network import BRIDGE
from pysup.supervisor.spec.networks import (
    CREATE,
    ON_PARENT,
    Options,
    WantedNetwork,
    WantedSubnet,
    default_options,
)

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pysup.supervisor.engine.networks.fabric import Fabric
    from pysup.supervisor.engine.networks.home import Home

NO_BRIDGE = "none"
"""--bridge none: there is no default network."""
POOLS = "172.17.0.0/16 172.18.0.0/16 172.19.0.0/16 172.20.0.0/14,16 172.24.0.0/14,16 172.28.0.0/14,16 192.168.0.0/16,20"
"""Docker's own default pools (moby daemon/libnetwork/ipamutils)."""
_IDS = {
    name: hashlib.sha256(f"pysup network {name}".encode()).hexdigest() for name in ("none", "host", BRIDGE)
}
"""Not random as docker's are: they are the same on every machine."""
_DRIVERS = {"none": "null", "host": "host", BRIDGE: "bridge"}
_SHORT = 12
_OVERLAP = "Pool overlaps with other one on this address space"
"""Docker's words, and those below: tools look for them."""


class Networks:
    """One for each daemon."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        news: NewsDesk,
        nursery: trio.Nursery,
        link: Link,
        naming: Naming,
        firewall: Firewall,
    ) -> None:
        self.naming = naming
        self.relays = Relays(nursery)
        self._nursery = nursery
        self._link = link
        self.firewall = firewall
        self._store = store
        self._settings = settings
        self._news = news
        self._fabric: Fabric | None = None
        self._features: dict[str, Feature] = {}
        self._turn = trio.Lock()

    async def fabric(self) -> Fabric:
        """The kernel's side; its import is left to the first who needs it. Raises Unavailable."""
        async with self._turn:
            if self._fabric is None:
                self._fabric = await self._begun()
            return self._fabric

    async def _begun(self) -> Fabric:
        healing, homes = [await _imported(name) for name in ("healing", "home")]
        try:
            home: Home = await homes.find_home(self._link)
        except OSError as error:
            raise Unavailable(f"cannot make a network namespace without root: {error}") from error
        self.firewall.settle(home.namespace)
        settings = self._settings
        forwarding = Forwarding(
            settings.forwarding_note, home.namespace, drops=not settings.ip_forward_no_drop
        )
        fabric: Fabric = healing.Fabric(self._store, self._news, self.firewall, forwarding, home)
        await self._nursery.start(healing.heal, fabric, self.firewall)
        return fabric

    async def features(self) -> dict[str, Feature]:
        """What the kernel has for them."""
        async with self._turn:
            if not self._features:
                self._features = await (await _imported("kernel_features")).network_features(self.firewall)
            return self._features

    async def prepare(self) -> None:
        """The networks that are always there; the engine begins."""
        conn = self._store.read()
        missing = [name for name in self._builtin() if networks.by_name(conn, name) is None]
        if missing:
            await self._store.write(
                partial(self._add_builtin, names=missing, occupied=self._occupied(self._settings.bridge))
            )

    def tidy(self) -> None:
        """Take back, meanwhile, what an engine that was killed led to containers that had ended before.

        Where none of our bridges is there, none was led to: nothing is imported, and nothing of the machine's touched.
        """
        if self._has_bridges():
            self._nursery.start_soon(self._tidy)

    def _has_bridges(self) -> bool:
        if not netns.is_governed() and not self._link.held(held.HOME):
            return False
        namespace = None if netns.is_governed() else self._link.held(held.HOME)["net"]
        there = {name for _, name in netns.run_inside(namespace, socket.if_nameindex)}
        rows = networks.list_networks(self._store.read())
        return any(row.driver == BRIDGE and row.device in there for row in rows)

    async def _tidy(self) -> None:
        try:
            await (await self.fabric()).tidy()
        except (PysupError, StoreError, OSError) as error:
            log.error("cannot tidy up the rules of networks: %s", error)

    @staticmethod
    def _occupied(besides: str = "") -> list[Network]:
        return [*routes.routed(besides), *(() if netns.is_governed() else uplink_programs.SUBNETS)]

    def _builtin(self) -> Iterator[str]:
        return (name for name in _IDS if name != BRIDGE or self._settings.bridge != NO_BRIDGE)

    def _add_builtin(self, conn: Connection, names: Iterable[str], occupied: Sequence[Network]) -> None:
        for name in names:
            device = self._settings.bridge if name == BRIDGE else ""
            options = default_options(device, self._settings.mtu) if name == BRIDGE else {}
            row = _row(WantedNetwork(name, options=options), _IDS[name], device, _DRIVERS[name], builtin=True)
            networks.insert(conn, row)
            if name == BRIDGE:
                self._add_subnets(conn, row, self._default_subnets(), occupied)

    def _default_subnets(self) -> tuple[WantedSubnet, ...]:
        return (bip(self._settings.bip),) if self._settings.bip else ()

    # -- finding ---------------------------------------------------------------------------------------------

    def find(self, ref: str, verb: str = "find") -> Row:
        """By name, id or unique prefix of the id. Raises NotFound, BadRequest."""
        try:
            return networks.find(self._store.read(), ref)
        except Missing:
            raise NotFound(
                f"cannot {verb} network {ref}: network {ref} not found{self._why_none(ref)}"
            ) from None
        except Ambiguous as error:
            raise BadRequest(f"cannot {verb} network {ref}: the prefix is that of several ids") from error

    def _why_none(self, name: str) -> str:
        """Why there is no default network; empty: another one is meant, or it was not wanted."""
        missing = name == BRIDGE and not netns.is_governed() and uplink_programs.why_not()
        return f": without root it needs a way out, but {missing}" if missing else ""

    # -- making and removing ---------------------------------------------------------------------------------

    async def create(self, wanted: WantedNetwork, caller: Caller) -> Row:
        """Raises Conflict (the name, an overlap), BadRequest, Unavailable (no subnet is left, no root for it)."""
        network_id = secrets.token_hex(32)
        options, beside = Options(wanted.options), wanted.driver in ON_PARENT
        if beside and not netns.is_governed():
            raise Unavailable(
                f"cannot {CREATE} {wanted.name}: driver {wanted.driver} needs root: a container of it is beside "
                "an interface of the host; without root there are networks of the driver bridge"
            )
        device = options.parent if beside else options.device or f"br-{network_id[:_SHORT]}"
        row = _row(wanted, network_id, device, wanted.driver)
        await self._check_device(row, options)
        occupied = () if beside else self._occupied()  # it is where the host's own network is
        try:
            await self._store.write(
                partial(self._insert, row=row, wanted=wanted, occupied=occupied, caller=caller)
            )
        except NameTaken:
            raise Conflict(
                f"cannot create network {wanted.name}: network with name {wanted.name} already exists"
            ) from None
        self._news.publish(Happening("network", row.id, "create"))
        return row

    async def _check_device(self, row: Row, options: Options) -> None:
        """What its first container would find wrong is told now. Raises Conflict, Unavailable."""
        known = (one.device for one in networks.list_networks(self._store.read()))
        if row.device not in known and (options.device or options.parent):
            trouble = await (await self.fabric()).trouble_with_device(row)
            if trouble:
                raise Conflict(f"cannot {CREATE} {row.name}: {trouble}")

    def _insert(
        self, conn: Connection, row: Row, wanted: WantedNetwork, occupied: Sequence[Network], caller: Caller
    ) -> None:
        for other in networks.list_networks(conn):
            if other.device == row.device:
                raise Conflict(
                    f"cannot {CREATE} {row.name}: network {other.name} has the interface {row.device}"
                )
        networks.insert(conn, row)
        self._add_subnets(conn, row, wanted.subnets, occupied)
        event_rows.note(conn, "network", "create", row.id, told(row), caller=caller)

    def _add_subnets(
        self, conn: Connection, row: Row, wanted: Sequence[WantedSubnet], occupied: Sequence[Network]
    ) -> None:
        taken = [ip_network(one.subnet) for one in networks.subnets(conn)]
        for one in wanted:
            _refuse_overlap(conn, row, one.subnet, occupied)
        given = {one.subnet.version for one in wanted}
        free = [
            *([self._free_subnet(row, [*taken, *occupied])] if row.ipv4 and IPV4 not in given else []),
            *([addresses.local_subnet6(row.id)] if row.ipv6 and IPV6 not in given else []),
        ]
        for one in (*wanted, *map(WantedSubnet, free)):
            networks.add_subnet(
                conn,
                Subnet(
                    row.id,
                    str(one.subnet),
                    str(one.ip_range or ""),
                    str(one.chosen_gateway),
                    one.reserved,
                    "",
                ),
            )

    def _free_subnet(self, row: Row, taken: Sequence[Network]) -> Network:
        pools = addresses.parse_pools(self._settings.address_pools or POOLS)
        found = addresses.choose_subnet(pools, taken)
        if found is None:
            raise Conflict(
                f"cannot {CREATE} {row.name}: could not find an available, non-overlapping IPv4 address pool among the "
                "defaults to assign to the network: all of them are taken, or are routes of the host; "
                "give --subnet, or pools to the daemon (--default-address-pool)"
            )
        return found

    async def remove(self, ref: str, caller: Caller) -> None:
        """Raises NotFound, Conflict (in use), Forbidden (a predefined one)."""
        row = self.find(ref, "remove")
        if row.builtin:
            raise Forbidden(
                f"cannot remove network {row.name}: it is a pre-defined network and cannot be removed"
            )
        self._refuse_used(self._store.read(), row)
        if row.driver not in ON_PARENT:
            await (await self.fabric()).remove(row)
        await self._store.write(partial(self._delete, row=row, caller=caller))
        self._news.publish(Happening("network", row.id, "destroy"))

    def _delete(self, conn: Connection, row: Row, caller: Caller) -> None:
        self._refuse_used(conn, row)
        networks.delete(conn, row.id)
        event_rows.note(conn, "network", "destroy", row.id, told(row), caller=caller)

    def _refuse_used(self, conn: Connection, row: Row) -> None:
        used = endpoints.of_network(conn, row.id)
        if used:
            names = [
                one.name
                for one in (containers.get(conn, used_by.container_id) for used_by in used[:5])
                if one
            ]
            more = f" and {len(used) - len(names)} more" if len(used) > len(names) else ""
            raise Conflict(
                f"cannot remove network {row.name}: it has active endpoints: container {', '.join(names)}{more}; "
                "take it off (network disconnect), or remove it"
            )

    async def prune(self, rows: Iterable[Row], caller: Caller) -> list[str]:
        """Remove those that nobody is on; their names."""
        removed = []
        for row in rows:
            if not row.builtin and not endpoints.of_network(self._store.read(), row.id):
                await self.remove(row.id, caller)
                removed.append(row.name)
        return removed


async def _imported(name: str) -> Any:  # noqa: ANN401 - a module
    return await trio.to_thread.run_sync(importlib.import_module, f"{__package__}.{name}")


def bip(text: str) -> WantedSubnet:
    """--bip: the address of the default bridge, and with it the subnet. Raises ValueError."""
    interface = ip_interface(text)
    return WantedSubnet(interface.network, None, interface.ip)


def told(row: Row) -> dict[str, str]:
    """The attributes of a network's events."""
    return {"name": row.name, "type": row.driver}


def _row(wanted: WantedNetwork, network_id: str, device: str, driver: str, *, builtin: bool = False) -> Row:
    return Row(
        id=network_id,
        name=wanted.name,
        driver=driver,
        device=device,
        builtin=builtin,
        internal=wanted.internal,
        ipv4=wanted.ipv4,
        ipv6=wanted.ipv6,
        options=wanted.options,
        labels=wanted.labels,
        document=dict(wanted.document),
        created_at=time.time_ns(),
    )


def _refuse_overlap(conn: Connection, row: Row, subnet: Network, occupied: Sequence[Network]) -> None:
    for other in networks.subnets(conn):
        if addresses.overlaps(subnet, ip_network(other.subnet)):
            holder = networks.get(conn, other.network_id)
            name = holder.name if holder else other.network_id
            raise Conflict(
                f"cannot {CREATE} {row.name}: {_OVERLAP}: {subnet} overlaps with {other.subnet} of network {name}"
            )
    for route in occupied:
        if addresses.overlaps(subnet, route) and route.prefixlen:
            raise Conflict(
                f"cannot {CREATE} {row.name}: {_OVERLAP}: {subnet} overlaps with a route of the host, {route}"
            )
