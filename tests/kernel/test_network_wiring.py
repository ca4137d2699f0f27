"""Bridges and pairs on the real kernel: made, repaired, refused, and gone without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from helpers.netlab import ip, namespace

from pysup.supervisor.errors import Conflict
from pysup.supervisor.kernel import netns
from pysup.supervisor.network.kernel_parts import refused_link
from pysup.supervisor.network.messages import Kind
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.network.parents import ensure_parent
from pysup.supervisor.network.wiring import (
    Bridge,
    Plug,
    ensure_bridge,
    is_bridge,
    plug_in,
    put_beside,
    take_out,
    unplug,
)

pytestmark = pytest.mark.kernel

SUBNET, SUBNET6 = ip_network("10.9.0.0/24"), ip_network("fd09::/64")
GATEWAY, GATEWAY6 = ip_address("10.9.0.1"), ip_address("fd09::1")
BRIDGE = Bridge("pysup0", "02:00:00:00:00:01", ((GATEWAY, SUBNET), (GATEWAY6, SUBNET6)))
HERE = ((ip_address("10.9.0.2"), SUBNET), (ip_address("fd09::2"), SUBNET6))
PLUG = Plug("pv1", 0, "eth0", "02:00:00:00:00:02", HERE, (GATEWAY, GATEWAY6), mtu=1400)


def names(inside: int) -> set[str]:
    return {link["ifname"] for link in json.loads(ip("-j", "link", inside=inside))}


def addresses(inside: int, device: str) -> set[str]:
    (shown,) = json.loads(ip("-j", "addr", "show", "dev", device, inside=inside))
    return {one["local"] for one in shown["addr_info"]}


async def test_a_bridge_is_made_once_and_what_somebody_took_away_comes_back() -> None:
    with namespace() as here, Netlink(here) as host:
        index = await ensure_bridge(host, BRIDGE)
        assert await ensure_bridge(host, BRIDGE) == index
        ip("addr", "del", "10.9.0.1/24", "dev", "pysup0", inside=here)
        ip("link", "set", "pysup0", "down", inside=here)
        assert await ensure_bridge(host, BRIDGE) == index
        assert {"10.9.0.1", "fd09::1"} <= addresses(here, "pysup0")
        assert await is_bridge(host, index)
        assert await ensure_bridge(host, replace(BRIDGE, mtu=1400)) == index
        assert json.loads(ip("-j", "link", "show", "pysup0", inside=here))[0]["mtu"] == PLUG.mtu
        ip("link", "del", "pysup0", inside=here)
        assert not await is_bridge(host, index)
        assert await ensure_bridge(host, BRIDGE) != index


async def test_a_name_that_somebody_else_has_is_left_alone() -> None:
    with namespace() as here, Netlink(here) as host:
        ip("link", "add", "pysup0", "type", "veth", "peer", "name", "other", inside=here)
        with pytest.raises(
            Conflict, match="cannot make bridge pysup0: there is another interface of this name"
        ):
            await ensure_bridge(host, BRIDGE)
        assert addresses(here, "pysup0") == set()


async def test_a_container_gets_its_addresses_and_ways_out_and_may_leave() -> None:
    with namespace() as here, namespace() as inside, Netlink(here) as host:
        plug = replace(PLUG, bridge=await ensure_bridge(host, BRIDGE))
        await plug_in(host, inside, plug)
        assert {"10.9.0.2", "fd09::2"} <= addresses(inside, "eth0")
        for version, gateway in (("-4", "10.9.0.1"), ("-6", "fd09::1")):
            (default,) = json.loads(ip("-j", version, "route", "show", "default", inside=inside))
            assert (default["gateway"], default["dev"]) == (gateway, "eth0")
        await unplug(host, plug.outer)
        await unplug(host, plug.outer)
        assert names(inside) == {"lo"} and "pv1" not in names(here)


LAN, THERE = ip_network("10.77.0.0/24"), ip_address("10.77.0.1")
INNER = ip_network("10.88.0.0/24")
IPVLANS = {
    "l2": Plug("", 0, "eth0", "", ((ip_address("10.77.0.9"), LAN),), (THERE,)),
    "l3": Plug("", 0, "eth0", "", ((ip_address("10.88.0.9"), INNER),), (ip_address("0.0.0.0"),)),  # noqa: S104
}
IPVLANS["l3s"] = IPVLANS["l3"]


@pytest.mark.vm
@pytest.mark.parametrize("mode", list(IPVLANS))
async def test_an_ipvlan_and_another_host_reach_each_other(mode: str) -> None:
    """Not every kernel has ipvlans, and one without says so; the guest's has them."""
    with namespace() as here, namespace() as there, namespace() as inside, Netlink(here) as host:
        pair = ("lan0", "type", "veth", "peer", "name", "lan1", "netns", f"/proc/{os.getpid()}/fd/{there}")
        ip("link", "add", *pair, inside=here)
        for address, device, place in (("10.77.0.2/24", "lan0", here), (f"{THERE}/24", "lan1", there)):
            ip("addr", "add", address, "dev", device, inside=place)
            ip("link", "set", device, "up", inside=place)
        ip("route", "add", str(INNER), "via", "10.77.0.2", inside=there)
        plug = replace(IPVLANS[mode], bridge=await ensure_parent(host, "lan0", None, ""))
        if has_ipvlan(here):
            await put_beside(host, inside, plug, Kind("ipvlan", mode))
            own = str(plug.addresses[0][0])
            assert talks(inside, there, str(THERE)) and talks(there, inside, own)
            await take_out(inside, "eth0")
        else:
            with pytest.raises(NetlinkError) as caught:
                await put_beside(host, inside, plug, Kind("ipvlan", mode))
            assert "the kernel has no ipvlan" in refused_link("ipvlan", caught.value.errno or 0)
        assert names(inside) == {"lo"}


def has_ipvlan(here: int) -> bool:
    with contextlib.suppress(AssertionError):
        ip("link", "add", "link", "lan0", "name", "probe0", "type", "ipvlan", inside=here)
        ip("link", "delete", "probe0", inside=here)
        return True
    return False


def talks(client: int, server: int, address: str) -> bool:
    """Whether a namespace reaches another one by TCP."""
    with netns.entered(server):
        listener = socket.create_server((address, 0))
    with netns.entered(client):
        sock = socket.socket()
    with listener, sock:
        sock.settimeout(10)
        sock.connect((address, listener.getsockname()[1]))
        sock.sendall(b"hello")
        peer, _ = listener.accept()
        with peer:
            return peer.recv(99) == b"hello"


async def test_what_cannot_be_finished_leaves_no_pair() -> None:
    with namespace() as here, namespace() as inside, Netlink(here) as host:
        lost = (ip_address("10.77.0.1"),)
        plug = replace(PLUG, bridge=await ensure_bridge(host, BRIDGE), gateways=lost)
        with pytest.raises(NetlinkError, match=r"cannot add the route to 10\.77\.0\.1"):
            await plug_in(host, inside, plug)
        assert names(inside) == {"lo"} and "pv1" not in names(here)
        with pytest.raises(NetlinkError, match="cannot add interface eth0"):
            await plug_in(host, inside, replace(PLUG, bridge=999))
        assert names(inside) == {"lo"} and "pv1" not in names(here)


async def test_a_taken_name_keeps_its_owner() -> None:
    with namespace() as here, namespace() as inside, namespace() as other, Netlink(here) as host:
        plug = replace(PLUG, bridge=await ensure_bridge(host, BRIDGE))
        await plug_in(host, inside, plug)
        with pytest.raises(NetlinkError, match="cannot add interface eth0: File exists"):
            await plug_in(host, other, plug)
        assert "eth0" in names(inside) and names(other) == {"lo"}
