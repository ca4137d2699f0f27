"""Leases: gives an endpoint its addresses, in the caller's transaction, by the decisions of network/addresses.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address, ip_network
from sqlite3 import Connection

from pysup.store import containers, endpoints, networks
from pysup.store.endpoints import Endpoint, Lease
from pysup.store.networks import Subnet
from pysup.supervisor.errors import BadRequest, Conflict
from pysup.supervisor.network.addresses import IPV4, IPV6, Address, candidates, first_free

_WHAT = {IPV4: "--ip", IPV6: "--ip6"}


def give_addresses(conn: Connection, endpoint: Endpoint, asked: Iterable[Address] = ()) -> list[Lease]:
    """The endpoint's leases: one for each IP version that the network has, those that it has already included.

    What was asked for stays the container's as long as it is on the network; the rest may go to others when it is
    at rest and nothing else is free. Raises BadRequest (an address of no subnet), Conflict (taken, none is free).
    """
    subnets = networks.subnets(conn, endpoint.network_id)
    had = {ip_address(lease.address).version for lease in endpoints.leases(conn, endpoint.id)}
    wanted = {address.version: address for address in asked}
    for version in (IPV4, IPV6):
        inside = [one for one in subnets if ip_network(one.subnet).version == version]
        if version in wanted:
            _give_asked(conn, endpoint, inside, wanted[version])
        elif inside and version not in had:
            _give_free(conn, endpoint, inside)
    return endpoints.leases(conn, endpoint.id)


def _give_asked(conn: Connection, endpoint: Endpoint, subnets: Sequence[Subnet], address: Address) -> None:
    told = f"cannot use {_WHAT[address.version]} {address}"
    subnet = next((one for one in subnets if address in ip_network(one.subnet)), None)
    if subnet is None:
        there = ", ".join(one.subnet for one in subnets) or f"none of IPv{address.version}"
        name = _network_name(conn, endpoint.network_id)
        raise BadRequest(f"{told}: it is in no subnet of network {name} (there is {there})")
    holder = endpoints.holder(conn, endpoint.network_id, str(address))
    if holder is not None and holder.endpoint_id == endpoint.id:
        return
    if holder is not None:
        raise Conflict(f"{told}: Address already in use: container {_container_of(conn, holder)} has it")
    if not _usable(subnet, address):
        raise Conflict(
            f"{told}: Address already in use: it is the gateway's, reserved, or no host's in {subnet.subnet}"
        )
    lease = Lease(endpoint.network_id, str(address), subnet.subnet, endpoint.id, asked=True)
    endpoints.add_lease(conn, lease)


def _container_of(conn: Connection, lease: Lease) -> str:
    holders = (one for one in endpoints.of_network(conn, lease.network_id) if one.id == lease.endpoint_id)
    row = containers.get(conn, next(holders).container_id)
    return row.name if row else ""


def _network_name(conn: Connection, network_id: str) -> str:
    row = networks.get(conn, network_id)
    return row.name if row else ""


def _usable(subnet: Subnet, address: Address) -> bool:
    whole = ip_network(subnet.subnet)
    last = whole.broadcast_address if whole.version == IPV4 else None
    return str(address) not in _reserved(subnet) and address not in {whole.network_address, last}


def _give_free(conn: Connection, endpoint: Endpoint, subnets: list[Subnet]) -> None:
    """From the first subnet that has one; if none has, those go that only containers at rest have."""
    if any(_take(conn, endpoint, subnet) for subnet in subnets):
        return
    for subnet in subnets:
        endpoints.give_up_idle(conn, endpoint.network_id, subnet.subnet)
        if _take(conn, endpoint, subnet):
            return
    told = ", ".join(subnet.subnet for subnet in subnets)
    version, name = ip_network(subnets[0].subnet).version, _network_name(conn, endpoint.network_id)
    cause = f"no available IPv{version} addresses on this network's address pools: all of {told} are taken"
    raise Conflict(f"cannot connect to network {name}: {cause}")


def _take(conn: Connection, endpoint: Endpoint, subnet: Subnet) -> bool:
    inner = ip_network(subnet.ip_range) if subnet.ip_range else None
    last = ip_address(subnet.last) if subnet.last else None
    found = first_free(candidates(ip_network(subnet.subnet), inner, last), _taken(conn, subnet))
    if found is None:
        return False
    lease = Lease(subnet.network_id, str(found), subnet.subnet, endpoint.id, asked=False)
    endpoints.add_lease(conn, lease)
    networks.set_last(conn, subnet, str(found))
    return True


def _taken(conn: Connection, subnet: Subnet) -> Callable[[Address], bool]:
    reserved = _reserved(subnet)

    def taken(address: Address) -> bool:
        return str(address) in reserved or endpoints.holder(conn, subnet.network_id, str(address)) is not None

    return taken


def _reserved(subnet: Subnet) -> frozenset[str]:
    return frozenset({subnet.gateway, *subnet.reserved.values()})
