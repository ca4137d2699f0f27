"""Leases: gives an endpoint its addresses, in the caller's transaction, by the decisions of network/addresses.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from sqlite3 import Connection

from pysup.store import endpoints, networks
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


def _give_asked(conn: Connection, endpoint: Endpoint, subnets: Iterable[Subnet], address: Address) -> None:
    subnet = next((one for one in subnets if address in ip_network(one.subnet)), None)
    if subnet is None:
        raise BadRequest(f"cannot use {_WHAT[address.version]} {address}: it is in no subnet of the network")
    holder = endpoints.holder(conn, endpoint.network_id, str(address))
    if holder is not None and holder.endpoint_id == endpoint.id:
        return
    if holder is not None or not _usable(subnet, address):
        taken = "it is reserved" if holder is None else f"it belongs to endpoint {holder.endpoint_id[:12]}"
        raise Conflict(f"cannot use {_WHAT[address.version]} {address}: {taken}")
    lease = Lease(endpoint.network_id, str(address), subnet.subnet, endpoint.id, asked=True)
    endpoints.add_lease(conn, lease)


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
    raise Conflict(f"cannot give an address: all of {told} are taken")


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
