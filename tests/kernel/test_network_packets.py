"""What the rules let through and what they stop, with real packets between namespaces.

client (192.0.2.2) -- host (192.0.2.1; bridges pysup0, pysup1) -- web (10.9.0.2), near (10.9.0.3), far (10.8.0.2)
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_network
from typing import NamedTuple

import pytest
from helpers.netlab import ip, namespace

from pysup.supervisor.kernel import netns
from pysup.supervisor.network import rules
from pysup.supervisor.network.addresses import mac_of
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.hooks import droppers
from pysup.supervisor.network.netlink import Netlink
from pysup.supervisor.network.passing import chains_passed
from pysup.supervisor.network.rules import ANY, Published, Ruled
from pysup.supervisor.network.wiring import Bridge, Plug, ensure_bridge, plug_in

pytestmark = pytest.mark.kernel

BRIDGES = {"pysup0": "10.9.0", "pysup1": "10.8.0"}
STOPPED_AFTER = 0.3
"""Seconds; what is dropped is never answered."""


class Lab(NamedTuple):
    """Descriptors of the namespaces."""

    host: int
    client: int
    web: int
    near: int
    far: int


def listening(inside: int, address: tuple[str, int]) -> socket.socket:
    """A server's socket in a namespace, which answers by the kernel's backlog alone."""
    with netns.entered(inside):
        return socket.create_server(address)


def reaches(inside: int, address: tuple[str, int]) -> bool:
    """Whether a connection from a namespace is made."""
    with netns.entered(inside), socket.socket() as made:
        made.settimeout(STOPPED_AFTER)
        return made.connect_ex(address) == 0


def forward(host: int) -> None:
    """The host routes, also what its loopback sends to a bridge. /proc/sys/net is that of the thread that opens it."""
    with netns.entered(host):
        for key in ("ip_forward", "conf/all/route_localnet"):
            fd = os.open(f"/proc/sys/net/ipv4/{key}", os.O_WRONLY)
            os.write(fd, b"1")
            os.close(fd)


def filter_bridged(host: int, *, filtered: bool) -> None:
    """Without the module br_netfilter there is no such switch, and they never do."""
    path = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    with netns.entered(host), suppress(FileNotFoundError):
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, b"1" if filtered else b"0")
        os.close(fd)


async def join(lab: Lab, network: Ruled, inside: int, last: int) -> None:
    """Put a namespace on a bridge, as a container."""
    subnet = ip_network(network.subnets[0])
    gateway = subnet.network_address + 1
    with Netlink(lab.host) as host:
        mac = mac_of(bytes([*gateway.packed, last]))
        bridge = await ensure_bridge(
            host, Bridge(network.device, mac_of(gateway.packed + b"x"), ((gateway, subnet),))
        )
        address = (subnet.network_address + last, subnet)
        outer = f"v{bridge}x{last}"
        plug = Plug(outer, bridge, "eth0", mac, (address,), (gateway,), isolated=not network.icc)
        await plug_in(host, inside, plug)


async def build(lab: Lab, networks: list[Ruled]) -> None:
    """The client's wire, the bridges, and a container or two on each."""
    ip("link", "add", "out0", "type", "veth", "peer", "name", "out1", inside=lab.host)
    ip("addr", "add", "192.0.2.1/24", "dev", "out0", inside=lab.host)
    ip("link", "set", "out0", "up", inside=lab.host)
    ip("link", "set", "out1", "netns", f"/proc/{os.getpid()}/fd/{lab.client}", inside=lab.host)
    ip("addr", "add", "192.0.2.2/24", "dev", "out1", inside=lab.client)
    ip("link", "set", "out1", "up", inside=lab.client)
    forward(lab.host)
    await join(lab, networks[0], lab.web, 2)
    await join(lab, networks[0], lab.near, 3)
    await join(lab, networks[1], lab.far, 2)


@asynccontextmanager
async def lab_with(
    networks: list[Ruled], ports: list[Published], *, filtered: bool = True
) -> AsyncIterator[Lab]:
    """Everything, ruled as asked. ``filtered``: whether bridged packets pass the firewall, where they can at all."""
    async with AsyncExitStack() as stack:
        lab = Lab(*(stack.enter_context(namespace()) for _ in Lab._fields))
        await build(lab, networks)
        filter_bridged(lab.host, filtered=filtered)
        await Firewall().apply(rules.whole(networks, ports, guarded=(4, 6)), "test", namespace=lab.host)
        yield lab


def ruled(name: str, *, internal: bool = False, icc: bool = True) -> Ruled:
    return Ruled(name, (f"{BRIDGES[name]}.0/24",), internal=internal, icc=icc)


PLAIN = [ruled("pysup0"), ruled("pysup1")]
WEB = [Published("tcp", ANY[4], 8080, "10.9.0.2", 80)]


@pytest.mark.parametrize("filtered", [True, False])
async def test_a_published_port_is_reached_from_everywhere(filtered: bool) -> None:
    async with lab_with(PLAIN, WEB, filtered=filtered) as lab:
        with listening(lab.web, (ANY[4], 80)):
            assert reaches(lab.client, ("192.0.2.1", 8080))
            assert reaches(lab.host, ("192.0.2.1", 8080)) and reaches(lab.host, ("127.0.0.1", 8080))
            assert reaches(lab.near, ("10.9.0.1", 8080)) and reaches(lab.far, ("192.0.2.1", 8080))
            assert reaches(lab.web, ("192.0.2.1", 8080)), "its own published port"


async def test_a_port_of_the_loopback_is_only_the_hosts() -> None:
    async with lab_with(PLAIN, [Published("tcp", "127.0.0.1", 8080, "10.9.0.2", 80)]) as lab:
        with listening(lab.web, (ANY[4], 80)):
            assert reaches(lab.host, ("127.0.0.1", 8080))
            assert not reaches(lab.client, ("192.0.2.1", 8080))


async def test_networks_are_apart_and_strangers_stay_outside() -> None:
    async with lab_with(PLAIN, []) as lab:
        with listening(lab.web, (ANY[4], 80)):
            assert reaches(lab.near, ("10.9.0.2", 80)) and reaches(lab.host, ("10.9.0.2", 80))
            assert not reaches(lab.far, ("10.9.0.2", 80))
            ip("route", "add", "10.9.0.0/24", "via", "192.0.2.1", inside=lab.client)
            assert not reaches(lab.client, ("10.9.0.2", 80))


@pytest.mark.parametrize(
    ("name", "way", "device"), [("web", "10.9.0.1", "eth0"), ("client", "192.0.2.1", "out1")]
)
async def test_nobody_reaches_the_hosts_loopback(name: str, way: str, device: str) -> None:
    async with lab_with(PLAIN, []) as lab:
        inside: int = getattr(lab, name)
        forward(inside)
        ip("addr", "del", "127.0.0.1/8", "dev", "lo", inside=inside)
        ip("route", "add", "127.0.0.1/32", "via", way, "dev", device, inside=inside)
        with listening(lab.host, ("127.0.0.1", 631)):
            assert not reaches(inside, ("127.0.0.1", 631))
            await Firewall().apply("flush chain inet pysup guard", "test", namespace=lab.host)
            assert reaches(inside, ("127.0.0.1", 631)), "it is the guard that stops it"


@pytest.mark.parametrize("filtered", [True, False])
async def test_without_icc_containers_reach_the_host_and_not_each_other(filtered: bool) -> None:
    async with lab_with([ruled("pysup0", icc=False), PLAIN[1]], [], filtered=filtered) as lab:
        with listening(lab.web, (ANY[4], 80)), listening(lab.host, ("10.9.0.1", 53)):
            assert not reaches(lab.near, ("10.9.0.2", 80))
            assert reaches(lab.near, ("10.9.0.1", 53))


async def test_an_internal_network_has_no_way_out() -> None:
    for internal in (False, True):
        async with lab_with([ruled("pysup0", internal=internal), PLAIN[1]], []) as lab:
            with listening(lab.client, (ANY[4], 80)) as server:
                assert reaches(lab.web, ("192.0.2.2", 80)) is not internal
                if not internal:
                    accepted, (address, _port) = server.accept()
                    accepted.close()
                    assert address == "192.0.2.1", "masqueraded"


async def test_what_another_manager_forwards_is_left_to_it() -> None:
    """One that found forwarding on, as docker does where pysup switched it on."""
    async with lab_with(PLAIN, []) as lab, AsyncExitStack() as stack:
        other = stack.enter_context(namespace())
        await join(lab, Ruled("docker0", ("10.77.0.0/24",)), other, 2)
        ip("route", "add", "10.77.0.0/24", "via", "192.0.2.1", inside=lab.client)
        with listening(other, (ANY[4], 80)):
            assert not reaches(lab.client, ("10.77.0.2", 80))
            await Firewall().apply(rules.spare("docker0"), "test", namespace=lab.host)
            assert reaches(lab.client, ("10.77.0.2", 80))


FIREWALLD = """
table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        ct state invalid drop
        jump filter_FORWARD_ZONES
        reject with icmpx admin-prohibited
    }
    chain filter_FORWARD_ZONES {
    }
}
"""
"""As firewalld 1.3 makes it, save for what its zones allow."""
IPTABLES = """
table ip filter {
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        jump DOCKER-USER
    }
    chain DOCKER-USER {
    }
}
"""
"""As iptables-nft and docker make it."""


@pytest.mark.parametrize(
    ("theirs", "chain", "where", "published"),
    [
        (FIREWALLD, ("inet firewalld", "filter_FORWARD"), "filter_FORWARD_ZONES", True),
        (IPTABLES, ("ip filter", "FORWARD"), "DOCKER-USER", False),
    ],
    ids=["firewalld", "iptables"],
)
async def test_another_firewall_is_named_and_must_accept_the_bridge(
    theirs: str, chain: tuple[str, str], where: str, published: bool
) -> None:
    async with lab_with(PLAIN, WEB) as lab:
        firewall = Firewall()
        firewall.settle(lab.host)
        assert droppers(await chains_passed(firewall), rules.TABLE) == []
        await firewall.apply(theirs, "begin another firewall")
        (named,) = droppers(await chains_passed(firewall), rules.TABLE)
        assert (named.table, named.chain) == chain
        with listening(lab.web, (ANY[4], 80)), listening(lab.client, (ANY[4], 8000)):
            assert reaches(lab.client, ("192.0.2.1", 8080)) is published
            assert not reaches(lab.web, ("192.0.2.2", 8000))
            for way in ("iifname", "oifname"):
                accept = f'add rule {chain[0]} {where} {way} "pysup0" accept'
                await firewall.apply(accept, "accept the bridge")
            assert reaches(lab.client, ("192.0.2.1", 8080)) and reaches(lab.web, ("192.0.2.2", 8000))
        await firewall.apply(f"delete table {chain[0]}", "reload another firewall")
        assert "10.9.0.2 . 80" in await firewall.apply(f"list table {rules.TABLE}", "list ours")
        firewall.close()
