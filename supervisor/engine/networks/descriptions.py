"""Rows of networks in the words of those who tell the kernel: bridges, rules, and containers' places."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from sqlite3 import Connection

from pysup.store import endpoints, networks
from pysup.store.networks import Network, Subnet
from pysup.supervisor.engine.networks.places import Place
from pysup.supervisor.errors import NotFound
from pysup.supervisor.network import addresses
from pysup.supervisor.network.addresses import IPV4
from pysup.supervisor.network.rules import Ruled, ip_version
from pysup.supervisor.network.wiring import Bridge, Placed, Plug
from pysup.supervisor.spec.joining import link_local, sysctls_of
from pysup.supervisor.spec.network import BRIDGE
from pysup.supervisor.spec.networks import Options

Described = tuple[Network, list[Subnet]]


def describe(conn: Connection, network_id: str) -> Described:
    """Raises NotFound."""
    network = networks.get(conn, network_id)
    if network is None:
        raise NotFound(f"cannot find network {network_id}: network {network_id} not found")
    return network, networks.subnets(conn, network_id)


def versions_of(subnets: Iterable[Subnet]) -> frozenset[int]:
    """Of IP."""
    return frozenset(ip_version(one.subnet) for one in subnets)


def mac_of_bridge(network: Network) -> str:
    """By which its bridge is known, whoever has made it."""
    return addresses.mac_of(hashlib.sha256(network.id.encode()).digest())


def bridge_of(network: Network, subnets: Sequence[Subnet], mtu: int) -> Bridge:
    """``mtu``: in bytes, where the network does not say."""
    placed = [(ip_address(one.gateway), ip_network(one.subnet)) for one in subnets if one.gateway]
    return Bridge(network.device, mac_of_bridge(network), tuple(placed), Options(network.options).mtu or mtu)


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


def ruled_of(network: Network, subnets: Iterable[Subnet]) -> Ruled:
    """What the rules must know of it."""
    options = Options(network.options)
    return Ruled(
        network.device,
        tuple(one.subnet for one in subnets),
        internal=network.internal,
        icc=options.icc,
        masquerade=options.masquerade,
    )


def all_ruled(conn: Connection, known: Iterable[str]) -> dict[str, Ruled]:
    """Networks that are known to be there, and those that a container is on, by their ids."""
    wanted = dict.fromkeys((*known, *endpoints.alive_networks(conn)))
    described = (describe(conn, one) for one in wanted)
    return {
        network.id: ruled_of(network, subnets) for network, subnets in described if network.driver == BRIDGE
    }


def devices(conn: Connection) -> list[str]:
    """Bridges of ours, whether a container is on them or not."""
    return [network.device for network in networks.list_networks(conn)]
