"""The networks of an ordinary user's daemon: each container has the default one for itself, carried by a program.

There is no bridge and no rule: what is published is carried from socket to socket (network/relay.py). To be imported
in a thread, and late: pyroute2 takes 0.3 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, ip_address, ip_network

from pysup.store.endpoints import Endpoint
from pysup.store.networks import Network
from pysup.supervisor.engine.containers.namespaces import uplink_key
from pysup.supervisor.engine.networks.fabric import plug_of
from pysup.supervisor.engine.networks.places import Place
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.keeper.link import Link
from pysup.supervisor.network import uplink, uplink_programs, wiring
from pysup.supervisor.network.addresses import IPV4
from pysup.supervisor.network.netlink import NetlinkError
from pysup.supervisor.network.rules import Published


class UserFabric:
    """What Fabric is to root's daemon."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def bridge(self, _network_id: str) -> int:
        """None is needed."""
        return 0

    async def remove(self, network: Network) -> None:
        """Nothing of it is anywhere but in the store."""

    async def plug(self, namespace: int, place: Place, _device: str, gateways: Sequence[str]) -> None:
        """Give a network namespace (a descriptor) a way out. Raises Unavailable."""
        key = uplink_key(place.endpoint.container_id)
        await self._end(key)
        held = await uplink.begin(namespace, _inner(place))
        await self._link.hold(key, held)
        try:
            await wiring.set_up_inside(namespace, plug_of(place, "", gateways, 0, mtu=uplink.MTU), plain=True)
        except NetlinkError as error:
            await self._end(key)
            raise Unavailable(f"cannot connect to network {place.network.name}: {error}") from error

    async def unplug(self, _namespace: int | None, endpoint: Endpoint) -> None:
        """The interface goes with the program that made it."""
        await self._end(uplink_key(endpoint.container_id))

    async def _end(self, key: str) -> None:
        held = self._link.held(key)
        if held:
            uplink_programs.end(held)
            await self._link.release(key, list(held))

    async def route(self, namespace: int, place: Place, gateways: Sequence[str]) -> None:
        """There is one network at most, and its way out was set when it came."""

    async def publish(self, ports: Sequence[Published]) -> None:
        """See engine/networks/relays.py."""

    async def unpublish(self, ports: Sequence[Published]) -> None:
        """See engine/networks/relays.py."""


def _inner(place: Place) -> uplink.Inner:
    subnet = next(subnet for lease, subnet in place.addresses if ip_address(lease.address).version == IPV4)
    whole = ip_network(subnet.subnet)
    assert isinstance(whole, IPv4Network)  # noqa: S101 - the default network's, which has no other here
    return uplink.Inner(place.endpoint.interface, ip_address(place.address(IPV4)), whole)
