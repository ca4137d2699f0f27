"""A container's places on networks, read together: endpoint, network, addresses and their subnets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from pysup.store import endpoints, networks
from pysup.store.endpoints import Endpoint, Lease, Port
from pysup.store.networks import Network, Subnet
from pysup.supervisor.kernel import netns
from pysup.supervisor.network.addresses import IPV4, IPV6
from pysup.supervisor.network.rules import ANY, Published, ip_version
from pysup.supervisor.spec.network import BRIDGE
from pysup.supervisor.spec.networks import ON_PARENT, Options


class Place(NamedTuple):
    """One endpoint with all that belongs to it."""

    endpoint: Endpoint
    network: Network
    addresses: tuple[tuple[Lease, Subnet], ...]
    """IPv4 before IPv6."""

    def address(self, version: int) -> str:
        """The container's address; empty: none."""
        found = (lease.address for lease, _ in self.addresses if ip_version(lease.address) == version)
        return next(found, "")

    @property
    def is_routed(self) -> bool:
        """Whether it has no gateway, since the host routes for it (Options.is_routed)."""
        return Options(self.network.options).is_routed(self.network.driver)


def places_of(conn: Connection, container_id: str) -> list[Place]:
    """The one that has the default route first: by GwPriority, then by the network's name, as docker chooses."""
    found = [
        _place(
            endpoint,
            networks.get(conn, endpoint.network_id),
            networks.subnets(conn, endpoint.network_id),
            endpoints.leases(conn, endpoint.id),
        )
        for endpoint in endpoints.of_container(conn, container_id)
    ]
    return sorted(found, key=_rank)


def all_places(conn: Connection) -> dict[str, list[Place]]:
    """Those of every container, by its id, with a few queries."""
    by_id = {one.id: one for one in networks.list_networks(conn)}
    subnets = networks.subnets(conn)
    leases: dict[str, list[Lease]] = {}
    for lease in endpoints.leases(conn):
        leases.setdefault(lease.endpoint_id, []).append(lease)
    found: dict[str, list[Place]] = {}
    for endpoint in endpoints.list_endpoints(conn):
        place = _place(endpoint, by_id.get(endpoint.network_id), subnets, leases.get(endpoint.id, []))
        found.setdefault(endpoint.container_id, []).append(place)
    return {container_id: sorted(places, key=_rank) for container_id, places in found.items()}


def _place(endpoint: Endpoint, network: Network | None, subnets: list[Subnet], leases: list[Lease]) -> Place:
    assert network is not None  # noqa: S101 - a foreign key
    known = {one.subnet: one for one in subnets if one.network_id == network.id}
    return Place(endpoint, network, tuple((lease, known[lease.subnet]) for lease in leases))


def _rank(place: Place) -> tuple[bool, int, str]:
    priority = place.endpoint.asked.get("GwPriority") or 0
    return place.network.internal, -priority if isinstance(priority, int) else 0, place.network.name


def gateways(places: Sequence[Place], place: Place) -> tuple[str, ...]:
    """The way out through this place: for each IP version the first place that has one is it.

    The unspecified address is by the interface alone, where the host's own namespace routes (ipvlan, l3).
    """
    found: dict[int, tuple[Place, str]] = {}
    for one in places:
        for _, subnet in () if one.network.internal else one.addresses:
            version = ip_version(subnet.subnet)
            way = ANY[version] if one.is_routed else subnet.gateway
            if way:
                found.setdefault(version, (one, way))
    return tuple(gateway for owner, gateway in found.values() if owner is place)


def to_host(places: Sequence[Place]) -> list[str]:
    """By which addresses a container reaches the host: its ways out, or else the bridges of internal networks."""
    ways = [way for place in places for way in gateways(places, place) if way not in ANY.values()]
    bridges = (subnet.gateway for place in on_bridges(places) for _, subnet in place.addresses)
    return ways or [gateway for gateway in bridges if gateway]


def default_gateways(conn: Connection) -> list[str]:
    """The addresses of the default network's bridge; none: there is no such network (--bridge none)."""
    row = networks.by_name(conn, BRIDGE)
    return [one.gateway for one in networks.subnets(conn, row.id)] if row is not None else []


def on_bridges(places: Sequence[Place]) -> list[Place]:
    """Those that the host reaches: an interface never talks to macvlans and ipvlans of its own."""
    return [place for place in places if place.network.driver not in ON_PARENT]


def published(ports: Sequence[Port], places: Sequence[Place]) -> Iterator[Published]:
    """Where each port leads; one that leads nowhere is left out."""
    for port in ports:
        address = led_to(places, ip_version(port.host_ip))
        if address:
            yield Published(port.protocol, port.host_ip, port.host_port, address, port.container_port)


def led_to(places: Sequence[Place], version: int) -> str:
    """The container's address that ports of one IP version lead to: its first, and where there is none, IPv6 to IPv4.

    That is carried by the host itself (relays.py), as all is without root: which no internal network lets in. Empty:
    none.
    """
    reached = on_bridges(places)
    outer = [place for place in reached if not place.network.internal]
    if not netns.is_governed():
        reached = outer
    return _first(reached, version) or (_first(outer, IPV4) if version == IPV6 else "")


def _first(places: Sequence[Place], version: int) -> str:
    return next((place.address(version) for place in places if place.address(version)), "")


def all_published(conn: Connection) -> list[Published]:
    """The ports of every container that is not at rest."""
    by_container: dict[str, list[Port]] = {}
    for port in endpoints.ports(conn):
        by_container.setdefault(port.container_id, []).append(port)
    return [
        one
        for container_id, ports in by_container.items()
        for one in published(ports, places_of(conn, container_id))
    ]
