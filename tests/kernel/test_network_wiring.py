"""Bridges and pairs on the real kernel: made, repaired, refused, and gone without a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from helpers.netlab import ip, namespace

from pysup.supervisor.errors import Conflict
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.network.wiring import Bridge, Plug, ensure_bridge, is_bridge, plug_in, unplug

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
