"""Bridges, and containers on them: brings the kernel's interfaces to what is wanted, whatever is there already."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

import trio

from pysup.supervisor.errors import Conflict
from pysup.supervisor.network import messages
from pysup.supervisor.network.addresses import IPV4, IPV6, Address, Network
from pysup.supervisor.network.messages import Link, Peer
from pysup.supervisor.network.netlink import Netlink, NetlinkError

Placed = tuple[Address, Network]
"""An address, and the subnet that it is in."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge as it should be."""

    name: str
    mac: str
    addresses: tuple[Placed, ...]
    """The gateways of its subnets; none for a network without a way out."""
    mtu: int = 0
    """0: the kernel's default."""


@dataclass(frozen=True, slots=True)
class Plug:
    """A container's place on a bridge."""

    outer: str
    """The name of the host's end."""
    bridge: int
    """The bridge's index."""
    inner: str
    """``eth0``."""
    index: int
    """Of the inner end; lo is 1. That it is known beforehand saves asking for it."""
    mac: str
    addresses: tuple[Placed, ...]
    gateways: tuple[Address, ...]
    isolated: bool = False
    """It may not talk to other isolated ports."""
    mtu: int = 0


async def ensure_bridge(host: Netlink, bridge: Bridge) -> int:
    """Make the bridge, or what is missing of it; its index. Raises Conflict (the name is taken), NetlinkError."""
    found = await _link(host, bridge.name)
    if found is None:
        await host.ask(messages.add_bridge(bridge.name, bridge.mac, bridge.mtu))
        found = await _link(host, bridge.name)
    if found is None or found.kind != "bridge":
        raise Conflict(f"cannot make bridge {bridge.name}: there is another interface of this name")
    wanted = [messages.add_address(found.index, address, subnet) for address, subnet in bridge.addresses]
    await host.ask(*wanted, messages.set_up(found.index, bridge.name))
    return found.index


async def _link(host: Netlink, name: str) -> Link | None:
    return messages.by_name(await host.dump(messages.list_links(), messages.read_link)).get(name)


async def plug_in(host: Netlink, namespace: int, plug: Plug) -> None:
    """Put a container's network namespace (a descriptor) on a bridge. Raises NetlinkError, and leaves nothing then.

    Two exchanges: one with the host's side, one inside. The pair goes with the namespace, or by unplug().
    """
    peer = Peer(plug.inner, plug.mac, namespace, plug.index)
    pair = messages.add_veth(plug.outer, plug.bridge, peer, plug.mtu)
    made, port = await host.attempt(pair, messages.set_port(plug.outer, isolated=plug.isolated))
    if made is not None:
        raise made
    try:
        await _set_up_inside(namespace, plug, port)
    except BaseException:
        with trio.CancelScope(shield=True):
            await unplug(host, plug.outer)
        raise


async def _set_up_inside(namespace: int, plug: Plug, failure: NetlinkError | None) -> None:
    if failure is not None:
        raise failure
    with Netlink(namespace) as inside:
        await inside.ask(
            *(messages.add_address(plug.index, address, subnet) for address, subnet in plug.addresses),
            messages.set_up(plug.index, plug.inner),
            *(messages.add_default_route(plug.index, gateway) for gateway in plug.gateways),
        )


async def unplug(host: Netlink, outer: str) -> None:
    """Take it off; it does not matter if it is gone."""
    await host.attempt(messages.delete_link(outer))


async def routed(host: Netlink) -> list[Network]:
    """The networks that the host has routes to, other than by default: no subnet of ours may overlap them."""
    found: list[Network] = []
    for version in (IPV4, IPV6):
        routes = await host.dump(messages.list_routes(version), messages.read_route)
        found += [ip_network(route.destination) for route in routes if route.destination]
    return found
