"""What the daemon's flags say of networks: the default one, as of each start, and the pools of addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.daemon import Daemon
from helpers.netlab import ip
from helpers.network_use import address, ok, refused

pytestmark = pytest.mark.kernel

BRIDGE = "com.docker.network.bridge"
MTU = "com.docker.network.driver.mtu"


def network(daemon: Daemon, name: str) -> Any:
    return json.loads(ok(daemon, "network", "inspect", name))[0]


def subnet(daemon: Daemon, name: str) -> str:
    return str(network(daemon, name)["IPAM"]["Config"][0]["Subnet"])


def test_the_default_network_follows_the_flags_at_each_start(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        options = network(daemon, "bridge")["Options"]
        assert options == {
            f"{BRIDGE}.default_bridge": "true", f"{BRIDGE}.enable_icc": "true",
            f"{BRIDGE}.enable_ip_masquerade": "true", f"{BRIDGE}.host_binding_ipv4": "0.0.0.0",  # noqa: S104
            f"{BRIDGE}.name": "pysup0", MTU: "1500",
        }  # fmt: skip
        ok(daemon, "run", "-d", "--name", "web", "--stop-timeout", "0", "host", "sleep", "1000")
        before = address(daemon, "web")
    flags = ("--bip", "10.216.0.9/24", "--mtu", "1400", "--bridge", "mine0", "--publish-default", "127.0.0.1")
    with Daemon(tmp_path, *flags) as daemon:
        found = network(daemon, "bridge")
        assert (found["Options"][f"{BRIDGE}.name"], found["Options"][MTU]) == ("mine0", "1400")
        assert found["Options"][f"{BRIDGE}.host_binding_ipv4"] == "127.0.0.1"
        assert found["IPAM"]["Config"] == [{"Subnet": "10.216.0.0/24", "Gateway": "10.216.0.9"}]
        ok(daemon, "start", "web")
        assert address(daemon, "web").startswith("10.216.0.") and not before.startswith("10.216.")
        shown = json.loads(ok(daemon, "exec", "web", "ip", "-j", "link", "show", "eth0"))
        assert shown[0]["mtu"] == 1400
        ok(daemon, "run", "-d", "--name", "more", "-p", "18130:80", "host", "sleep", "1000")
        assert ok(daemon, "port", "more") == "80/tcp -> 127.0.0.1:18130\n"
        ok(daemon, "rm", "-f", "more", "web")
    ip("link", "delete", "mine0")


@pytest.fixture
def routed() -> Iterator[None]:
    """A route of the host, in the middle of a pool."""
    ip("route", "add", "unreachable", "10.217.1.0/24")
    yield
    ip("route", "delete", "unreachable", "10.217.1.0/24")


@pytest.mark.usefixtures("routed")
def test_subnets_come_from_the_pools_and_overlap_no_route_of_the_host(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--default-address-pool", "base=10.217.0.0/22,size=24") as daemon:
        for name in ("one", "two"):
            ok(daemon, "network", "create", name)
        found = [subnet(daemon, name) for name in ("bridge", "one", "two")]
        assert found == ["10.217.0.0/24", "10.217.2.0/24", "10.217.3.0/24"]
        assert "all of them are taken, or are routes of the host" in refused(
            daemon, "network", "create", "three"
        )
        ok(daemon, "network", "rm", "one")
        ok(daemon, "network", "create", "three")
        assert subnet(daemon, "three") == "10.217.2.0/24"
        told = refused(daemon, "network", "create", "--subnet", "10.217.1.0/25", "four")
        assert "10.217.1.0/25 overlaps with a route of the host, 10.217.1.0/24" in told
        ok(daemon, "network", "rm", "two", "three")
