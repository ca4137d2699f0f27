"""What others take away or switch off is told by the kernel, and nothing else: no start wakes anybody."""

from __future__ import annotations

import json

import pytest
from helpers.netlab import ip, namespace, run

from pysup.supervisor.kernel import netns
from pysup.supervisor.network.neighbours import BEGINNINGS
from pysup.supervisor.network.watching import (
    Watch,
    touched,
    watch_forwarding,
    watch_links,
    watch_new_interfaces,
)

pytestmark = pytest.mark.kernel


def index(device: str, inside: int) -> int:
    (shown,) = json.loads(ip("-j", "link", "show", device, inside=inside))
    return int(shown["ifindex"])


def told(watch: Watch) -> frozenset[int]:
    """The interfaces that messages are of."""
    found = watch.pending()
    assert found is not None
    return touched(found)


async def test_interfaces_that_come_wake_nobody_and_those_that_go_do() -> None:
    with namespace() as here, netns.entered(here), watch_links() as links:
        ip("link", "add", "br9", "up", "type", "bridge")
        ip("link", "add", "pe9", "up", "master", "br9", "type", "veth", "peer", "name", "pe8")
        ip("addr", "add", "10.9.0.1/24", "dev", "br9")
        ip("link", "set", "br9", "mtu", "1400")
        assert told(links) == frozenset()
        bridge = index("br9", here)
        ip("addr", "del", "10.9.0.1/24", "dev", "br9")
        assert told(links) == {bridge}
        run(
            ["sysctl", "-qw", "net.ipv6.conf.br9.disable_ipv6=1"]
        )  # its address goes; it has none to lose below
        assert told(links) == {bridge}
        ip("link", "set", "br9", "down")
        assert told(links) == {bridge}
        ip("link", "set", "br9", "up")
        assert told(links) == frozenset()
        ip("link", "delete", "br9")
        assert bridge in told(links)


async def test_forwarding_that_is_switched_wakes_and_new_interfaces_do_not() -> None:
    with namespace() as here, netns.entered(here), watch_forwarding() as forwarding:
        ip("link", "add", "br9", "up", "type", "bridge")
        run(["sysctl", "-qw", "net.ipv4.conf.br9.rp_filter=2"])
        assert forwarding.pending() == []
        for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding", "ipv4.conf.br9.forwarding"):
            run(["sysctl", "-qw", f"net.{name}=1"])
            run(["sysctl", "-qw", f"net.{name}=0"])
            assert forwarding.pending(), name


async def test_a_bridge_of_another_manager_wakes_by_its_name() -> None:
    with namespace() as here, netns.entered(here), watch_new_interfaces(BEGINNINGS) as new:
        ip("link", "add", "pe9", "up", "type", "veth", "peer", "name", "bridge9")
        ip("link", "set", "pe9", "name", "docker8")
        assert told(new) == frozenset()
        for name in (
            "docker0",
            "br-0123456789ab",
            "virbr0",
            "podman1",
            "cni0",
            "lxdbr0",
            "incusbr0",
            "lxcbr0",
        ):
            ip("link", "add", name, "type", "bridge")
            assert told(new) == {index(name, here)}
            ip("link", "set", name, "up")
            assert told(new) == frozenset(), name
