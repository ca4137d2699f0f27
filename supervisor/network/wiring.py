"""Bridges, and containers on them: brings the kernel's interfaces to what is wanted, whatever is there already."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import trio

from pysup.supervisor.errors import Conflict
from pysup.supervisor.network import messages
from pysup.supervisor.network.addresses import IPV6, Address, Network
from pysup.supervisor.network.inside import run_inside
from pysup.supervisor.network.messages import Kind, Link, Peer
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.network.parents import find_link

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
    """The bridge's index; of a macvlan or an ipvlan, its parent's."""
    inner: str
    """``eth0``."""
    mac: str
    addresses: tuple[Placed, ...]
    gateways: tuple[Address, ...]
    isolated: bool = False
    """It may not talk to other isolated ports."""
    mtu: int = 0
    sysctls: tuple[tuple[str, str], ...] = ()
    """Path below /proc/sys, and value."""


async def ensure_bridge(host: Netlink, bridge: Bridge) -> int:
    """Make the bridge, or what is missing of it; its index. Raises Conflict (the name is taken), NetlinkError.

    One of this name that has another MAC address is somebody else's.
    """
    found = await find_link(host, bridge.name)
    if found is None:
        await host.ask(messages.add_bridge(bridge.name, bridge.mac, bridge.mtu))
        found = await find_link(host, bridge.name)
    if found is None or not _is_ours(found, bridge.mac):
        raise Conflict(f"cannot make bridge {bridge.name}: there is another interface of this name")
    wanted = [messages.add_address(found.index, address, subnet) for address, subnet in bridge.addresses]
    await host.ask(*wanted, messages.set_up(found.index, bridge.name, mtu=bridge.mtu))
    return found.index


def _is_ours(found: Link, mac: str) -> bool:
    return found.kind == "bridge" and found.mac == mac


async def has_bridge(host: Netlink, name: str, mac: str) -> bool:
    """Whether a bridge of ours is there."""
    found = await find_link(host, name)
    return found is not None and _is_ours(found, mac)


async def remove_bridge(host: Netlink, name: str, mac: str) -> None:
    """Delete a bridge; one that is gone, or somebody else's, is left alone. Raises NetlinkError."""
    if await has_bridge(host, name, mac):
        await host.ask(messages.delete_link(name))


async def plug_in(host: Netlink, namespace: int, plug: Plug) -> None:
    """Put a container's network namespace (a descriptor) on a bridge. Raises NetlinkError, and leaves nothing then.

    Two exchanges: one with the host's side, one inside. The pair goes with the namespace, or by unplug().
    """
    peer = Peer(plug.inner, plug.mac, namespace)
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


async def put_beside(host: Netlink, namespace: int, plug: Plug, kind: Kind) -> None:
    """Give a network namespace a macvlan or an ipvlan of an interface of the host.

    Raises NetlinkError, and leaves nothing then.
    """
    peer = Peer(plug.inner, plug.mac, namespace)
    await host.ask(messages.add_beside(peer, plug.bridge, kind, plug.mtu))
    try:
        await _set_up_inside(namespace, plug, None)
    except BaseException:
        with trio.CancelScope(shield=True):
            await take_out(namespace, plug.inner)
        raise


async def is_set_up(namespace: int, inner: str) -> bool:
    """Whether an interface is in a namespace, and is up or has an address: a bare one was made, and nothing else.

    Raises NetlinkError.
    """
    with await run_inside(namespace, Netlink) as inside:
        found = await find_link(inside, inner)
        if found is None or found.up:
            return found is not None
        return found.index in await inside.dump(messages.list_addresses(), messages.read_address)


async def take_out(namespace: int, inner: str) -> None:
    """Delete an interface of a namespace; it does not matter if it is gone."""
    with await run_inside(namespace, Netlink) as inside:
        await inside.attempt(messages.delete_link(inner))


async def _set_up_inside(namespace: int, plug: Plug, failure: NetlinkError | None) -> None:
    if failure is not None:
        raise failure
    await set_up_inside(namespace, plug)


async def set_up_inside(namespace: int, plug: Plug, *, plain: bool = False) -> None:
    """Give an interface that is inside already its addresses and ways out. Raises NetlinkError.

    ``plain``: it was made by somebody who gave it neither its MAC address nor its size.
    """
    inside, index = await run_inside(namespace, partial(_inside, plug))
    with inside:
        await inside.ask(
            *(messages.add_address(index, address, subnet) for address, subnet in plug.addresses),
            messages.set_up(index, plug.inner, *((plug.mac, plug.mtu) if plain else ())),
            *(messages.add_default_route(index, gateway) for gateway in plug.gateways),
        )


def _inside(plug: Plug) -> tuple[Netlink, int]:
    """A socket inside, where this runs, and the interface's number there.

    On a network without IPv6 the interface has none: not even an address of its own making.
    """
    if not any(address.version == IPV6 for address, _ in plug.addresses):
        with suppress(OSError), open(f"/proc/sys/net/ipv6/conf/{plug.inner}/disable_ipv6", "w") as file:
            file.write("1")
    for name, value in plug.sysctls:
        _set(name, value)
    return _looked_up(plug.inner)


def _looked_up(inner: str) -> tuple[Netlink, int]:
    """Raises OSError: there is no such interface."""
    index = socket.if_nametoindex(inner)
    return Netlink(), index


def _set(name: str, value: str) -> None:
    """sysctl(8) of the calling thread's network namespace. Raises NetlinkError."""
    try:
        with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        raise NetlinkError(error.errno or 0, f"set {name.replace('/', '.')} to {value}") from error


async def unplug(host: Netlink, outer: str) -> None:
    """Take it off; it does not matter if it is gone."""
    await host.attempt(messages.delete_link(outer))


async def is_bridge(host: Netlink, index: int) -> bool:
    """Whether the interface of this number is there."""
    return any(link.index == index for link in await host.dump(messages.list_links(), messages.read_link))


async def put_back(host: Netlink, outer: str, bridge: int) -> None:
    """Make an interface a port of a bridge again; it does not matter if it is gone."""
    await host.attempt(messages.join_bridge(outer, bridge))


async def route(namespace: int, inner: str, gateways: Iterable[Address]) -> None:
    """Let the default routes of a namespace go through one of its interfaces. Raises NetlinkError."""
    inside, index = await run_inside(namespace, partial(_looked_up, inner))
    with inside:
        await inside.ask(*(messages.add_default_route(index, gateway) for gateway in gateways))
