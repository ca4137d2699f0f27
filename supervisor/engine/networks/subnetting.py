"""Which subnets a network gets: those asked for, and else free ones of the pools; in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from sqlite3 import Connection

from pysup.store import networks
from pysup.store.networks import Network as Row
from pysup.store.networks import Subnet
from pysup.supervisor.errors import Conflict
from pysup.supervisor.network import addresses
from pysup.supervisor.network.addresses import IPV4, IPV6, Network
from pysup.supervisor.spec.networks import CREATE, WantedSubnet

POOLS = "172.17.0.0/16 172.18.0.0/16 172.19.0.0/16 172.20.0.0/14,16 172.24.0.0/14,16 172.28.0.0/14,16 192.168.0.0/16,20"
"""Docker's own default pools (moby daemon/libnetwork/ipamutils)."""
_OVERLAP = "Pool overlaps with other one on this address space"
"""Docker's words, and those below: tools look for them."""


def give_subnets(
    conn: Connection, row: Row, wanted: Sequence[WantedSubnet], *, pools: str, occupied: Sequence[Network]
) -> None:
    """The rows: what is asked for, and one for each IP version of which nothing is.

    ``pools``: the daemon's, empty for docker's. ``occupied``: what is elsewhere on the host, its routes above all.
    Raises Conflict: an overlap, or nothing is left.
    """
    taken = [ip_network(one.subnet) for one in networks.subnets(conn)]
    for one in wanted:
        _refuse_overlap(conn, row, one.subnet, occupied)
        _add(conn, row, one)  # so that the next one asked for does not overlap with it either
    given = {one.subnet.version for one in wanted}
    if row.ipv4 and IPV4 not in given:
        _add(conn, row, WantedSubnet(_free_subnet(row, pools, [*taken, *occupied])))
    if row.ipv6 and IPV6 not in given:
        _add(conn, row, WantedSubnet(addresses.local_subnet6(row.id)))


def _add(conn: Connection, row: Row, one: WantedSubnet) -> None:
    ip_range = str(one.ip_range or "")
    subnet = Subnet(row.id, str(one.subnet), ip_range, str(one.chosen_gateway), one.reserved, last="")
    networks.add_subnet(conn, subnet)


def _free_subnet(row: Row, pools: str, taken: Sequence[Network]) -> Network:
    found = addresses.choose_subnet(addresses.parse_pools(pools or POOLS), taken)
    if found is None:
        raise Conflict(
            f"cannot {CREATE} {row.name}: could not find an available, non-overlapping IPv4 address pool among the "
            "defaults to assign to the network: all of them are taken, or are routes of the host; "
            "give --subnet, or pools to the daemon (--default-address-pool)"
        )
    return found


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
