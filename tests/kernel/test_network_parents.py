"""Macvlans and ipvlans beside interfaces of the host, and VLANs that are made for them, on the real kernel.

The guest's kernel has all of these; one that has not says so.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from helpers.netlab import ip, namespace
from helpers.network_rows import endpoint_of, full

from pysup.store.endpoints import Lease
from pysup.store.networks import Network, Subnet
from pysup.supervisor.engine.networks.beside import Beside
from pysup.supervisor.engine.networks.places import Place
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network.netlink import Netlink

pytestmark = [pytest.mark.kernel, pytest.mark.vm]

SUBNET = "10.50.0.0/24"


def network(begin: str = "n1", parent: str = "lan0.50", driver: str = "macvlan", **options: str) -> Network:
    return Network(
        id=full(begin), name="lan", driver=driver, device=parent, builtin=False, internal=False, ipv4=True,
        ipv6=False, options={"parent": parent, **options}, labels={}, document={}, created_at=1,
    )  # fmt: skip


def place(row: Network) -> Place:
    subnet = Subnet(row.id, SUBNET, "", "10.50.0.1", {}, "")
    return Place(
        endpoint_of("c1", "n1"), row, ((Lease(row.id, "10.50.0.9", SUBNET, full("e1"), asked=False), subnet),)
    )


@pytest.fixture
def here() -> Iterator[int]:
    """A host with an interface lan0, whose cable leads to lan1."""
    with namespace() as made:
        ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1", inside=made)
        for name in ("lan0", "lan1"):
            ip("link", "set", name, "up", inside=made)
        yield made


def kernel_has(here: int, kind: str, *words: str) -> bool:
    with contextlib.suppress(AssertionError):
        ip("link", "add", "link", "lan1", "name", "probe0", "type", kind, *words, inside=here)
        ip("link", "delete", "probe0", inside=here)
        return True
    return False


def links(here: int) -> dict[str, str]:
    """The interfaces, and what they are marked with."""
    found = json.loads(ip("-j", "link", inside=here))
    return {one["ifname"]: one.get("ifalias", "") for one in found}


async def lacks_vlans(here: int, beside: Beside) -> bool:
    """Whether the kernel has none; the error says so then, and nothing is left."""
    if kernel_has(here, "vlan", "id", "3"):
        return False
    with pytest.raises(
        Unavailable, match=r"cannot make VLAN lan0.50: the kernel has no VLANs \(module 8021q"
    ):
        await beside.trouble(network())
    assert "lan0.50" not in links(here)
    return True


@pytest.mark.parametrize("flag", ["bridge", "private", "vepa"])
@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
async def test_an_ipvlan_has_the_mode_and_the_flag_of_its_network(here: int, mode: str, flag: str) -> None:
    with namespace() as inside, Netlink(here) as host:
        row = network(parent="lan0", driver="ipvlan", ipvlan_mode=mode, ipvlan_flag=flag)
        if not kernel_has(here, "ipvlan"):
            assert "the kernel has no ipvlan" in await Beside(host).trouble(row)
            return
        await Beside(host).plug(inside, place(row), ["0.0.0.0"])  # noqa: S104 - out by the interface alone
        assert made(inside) | {flag: None} == {"mode": mode, flag: None}


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa", "passthru"])
async def test_a_macvlan_has_the_mode_of_its_network(here: int, mode: str) -> None:
    with namespace() as inside, Netlink(here) as host:
        row = network(parent="lan0", macvlan_mode=mode)
        assert await Beside(host).trouble(row) == ""
        await Beside(host).plug(inside, place(row), ["10.50.0.1"])
        assert made(inside)["mode"] == mode


def made(inside: int) -> dict[str, object]:
    (found,) = json.loads(ip("-d", "-j", "link", "show", "eth0", inside=inside))
    data: dict[str, object] = found["linkinfo"]["info_data"]
    return data


async def test_a_vlan_is_made_for_a_network_and_goes_with_it(here: int) -> None:
    with namespace() as inside, Netlink(here) as host:
        beside, row = Beside(host), network()
        if await lacks_vlans(here, beside):
            return
        assert await beside.trouble(row) == ""
        assert links(here)["lan0.50"] == f"pysup network {row.id}"
        (vlan,) = json.loads(ip("-d", "-j", "link", "show", "lan0.50", inside=here))
        assert (vlan["linkinfo"]["info_data"]["id"], vlan["link"], "UP" in vlan["flags"]) == (
            50,
            "lan0",
            True,
        )
        ip("link", "delete", "lan0.50", inside=here)  # a machine that was booted does not have it any more
        await beside.plug(inside, place(row), ["10.50.0.1"])
        assert await beside.is_plugged(inside, place(row))
        (address,) = json.loads(ip("-j", "addr", "show", "eth0", inside=inside))
        assert [one["local"] for one in address["addr_info"]] == ["10.50.0.9"]
        await beside.remove(network("n2"))
        assert "lan0.50" in links(here), "it is another network's"
        await beside.remove(row)
        assert "lan0.50" not in links(here)
        await beside.remove(row)


async def test_a_vlan_of_somebody_else_is_used_and_stays_and_one_that_a_crash_left_is_had(here: int) -> None:
    with Netlink(here) as host:
        beside = Beside(host)
        if await lacks_vlans(here, beside):
            return
        ip("link", "add", "link", "lan0", "name", "lan0.7", "type", "vlan", "id", "7", inside=here)
        assert await beside.trouble(network(parent="lan0.7")) == ""
        await beside.remove(network(parent="lan0.7"))
        assert links(here)["lan0.7"] == ""
        assert await beside.trouble(network("n1")) == ""
        assert await beside.trouble(network("n2")) == ""
        await beside.remove(network("n2"))
        assert "lan0.50" not in links(here)
        ip("link", "set", "lan0", "down", inside=here)
        with pytest.raises(Unavailable, match="is down"):
            await beside.trouble(network())
        assert "lan0.50" not in links(here)
