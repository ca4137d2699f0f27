"""Networks without a bridge: their containers are hosts beside an interface of the host, by macvlans and ipvlans.

The interface may be a VLAN that is made for the network (``parent=eth0.50``). As with bridges, one that is missing when
a container comes, after a reboot, is made again then.
"""

from __future__ import annotations

from collections.abc import Sequence

from pysup.store.networks import Network
from pysup.supervisor.engine.networks.descriptions import plug_of
from pysup.supervisor.engine.networks.places import Place
from pysup.supervisor.errors import NotFound, Unavailable
from pysup.supervisor.network import parents, wiring
from pysup.supervisor.network.devices import trouble_with_parent
from pysup.supervisor.network.kernel_parts import refused_link
from pysup.supervisor.network.messages import Kind
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.spec.networks import Options


class Beside:
    """One for each daemon, in the host's network namespace."""

    def __init__(self, host: Netlink) -> None:
        self._host = host

    async def trouble(self, network: Network) -> str:
        """Why a network that is to be made cannot have its parent; empty: it can, and the parent is there.

        Raises Unavailable.
        """
        try:
            index = await self._parent(network)
            found = await trouble_with_parent(self._host, network.device, index, _kind(network))
        except NotFound as error:
            return str(error)
        except NetlinkError as error:
            await self.remove(network)
            raise Unavailable(f"cannot try interface {network.device}: {error}") from error
        if found:
            await self.remove(network)
        return found

    async def _parent(self, network: Network) -> int:
        """Raises NotFound, Unavailable (the kernel has no VLANs), NetlinkError."""
        options = Options(network.options)
        try:
            return await parents.ensure_parent(self._host, network.device, options.vlan, network.id)
        except NetlinkError as error:
            if cause := refused_link("vlan", error.errno or 0):
                raise Unavailable(f"cannot make VLAN {network.device}: {cause}") from error
            raise

    async def remove(self, network: Network) -> None:
        """Take the parent away if it is a VLAN that was made for the network. Raises Unavailable."""
        if Options(network.options).vlan is not None:
            try:
                await parents.remove_vlan(self._host, network.device, network.id)
            except NetlinkError as error:
                raise Unavailable(f"cannot take VLAN {network.device} away: {error}") from error

    async def plug(self, namespace: int, place: Place, gateways: Sequence[str]) -> None:
        """Put a network namespace (a descriptor) beside the parent. Raises NotFound, Unavailable, NetlinkError."""
        network = place.network
        try:
            plug = plug_of(place, "", gateways, await self._parent(network))
        except NotFound as error:
            raise NotFound(f"cannot connect to network {network.name}: {error}") from error
        await wiring.put_beside(self._host, namespace, plug, _kind(network))

    @staticmethod
    async def is_plugged(namespace: int, place: Place) -> bool:
        """Whether the interface of a place is inside, and was set up. Raises Unavailable."""
        try:
            return await wiring.is_set_up(namespace, place.endpoint.interface)
        except NetlinkError as error:
            raise Unavailable(f"cannot look at network {place.network.name}: {error}") from error


def _kind(network: Network) -> Kind:
    options = Options(network.options)
    return Kind(network.driver, options.mode(network.driver), options.flag)
