"""What POST /networks/create takes, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from pysup.supervisor.errors import BadRequest, NotSupported
from pysup.supervisor.spec.networks import Options, wanted_network

FULL: dict[str, Any] = {
    "Name": "mine",
    "Internal": True,
    "EnableIPv6": True,
    "Labels": {"a": "b"},
    "Options": {
        "com.docker.network.bridge.name": "br-mine",
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.driver.mtu": "1400",
    },
    "IPAM": {
        "Config": [
            {
                "Subnet": "10.9.0.0/16",
                "IPRange": "10.9.4.0/24",
                "Gateway": "10.9.0.254",
                "AuxiliaryAddresses": {"router": "10.9.4.7"},
            },
            {"Subnet": "fd09::/64"},
        ]
    },
}


def test_a_whole_body_is_read() -> None:
    made = wanted_network(FULL)
    assert (made.name, made.internal, made.ipv4, made.ipv6) == ("mine", True, True, True)
    first, second = made.subnets
    assert (str(first.ip_range), str(first.chosen_gateway), first.reserved) == (
        "10.9.4.0/24",
        "10.9.0.254",
        {"router": "10.9.4.7"},
    )
    assert str(second.chosen_gateway) == "fd09::1"
    options = Options(made.options)
    assert (options.device, options.icc, options.masquerade, options.mtu) == ("br-mine", False, True, 1400)


ON_LAN = {"parent": "lan0"}


def test_who_has_a_parent_has_a_mode() -> None:
    made = wanted_network({"Name": "x", "Driver": "ipvlan", "Options": ON_LAN})
    assert (Options(made.options).mode("ipvlan"), Options(made.options).is_routed("ipvlan")) == ("l2", False)
    routed = Options({**ON_LAN, "ipvlan_mode": "l3s"})
    assert (routed.parent, routed.mode("ipvlan"), routed.is_routed("ipvlan")) == ("lan0", "l3s", True)
    assert (Options(ON_LAN).mode("macvlan"), Options(ON_LAN).flag) == ("bridge", "bridge")
    assert Options({**ON_LAN, "ipvlan_flag": "vepa"}).flag == "vepa"


@pytest.mark.parametrize(
    ("parent", "vlan"),
    [("lan0", None), ("lan0.50", ("lan0", 50)), ("a.b.7", ("a.b", 7)), ("lan0.x", None), (".5", None)],
)
def test_a_parent_may_be_called_like_a_vlan(parent: str, vlan: tuple[str, int] | None) -> None:
    assert Options({"parent": parent}).vlan == vlan


def test_little_is_needed() -> None:
    made = wanted_network({"Name": "x", "IPAM": {"Config": [{}]}})
    assert (made.ipv4, made.ipv6, made.subnets) == (True, False, ())
    assert wanted_network({"Name": "x", "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}}).ipv6


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"Name": ""}, "invalid name"),
        ({"Name": " "}, "invalid name"),
        ({"Name": "a\n"}, "invalid name"),
        ({"Name": "container:x"}, "means something else"),
        ({"Driver": "host"}, "there already"),
        ({"Driver": "nope"}, "no network driver"),
        ({"Driver": "ipvlan"}, "a network of ipvlans needs the interface"),
        ({"Driver": "ipvlan", "Options": {**ON_LAN, "ipvlan_mode": "l4"}}, "'l4' is none of l2, l3, l3s"),
        ({"Driver": "macvlan", "Options": {**ON_LAN, "macvlan_mode": "l2"}}, "'l2' is none of bridge"),
        (
            {"Driver": "ipvlan", "Options": {**ON_LAN, "ipvlan_flag": "l2"}},
            "ipvlan_flag 'l2' is none of bridge, private, vepa",
        ),
        ({"Driver": "macvlan", "Options": {"parent": "lan0.4095"}}, "number of a VLAN is from 1 to 4094"),
        ({"Driver": "macvlan", "Options": {"parent": "lan0.0"}}, "number of a VLAN is from 1 to 4094"),
        ({"Options": {"com.docker.network.bridge.name": "x" * 16}}, "name of an interface"),
        ({"Options": {"com.docker.network.driver.mtu": "20"}}, "not a size"),
        ({"Options": {"com.docker.network.bridge.host_binding_ipv4": "x"}}, "not an IP address"),
        ({"IPAM": {"Config": [{"Gateway": "10.0.0.1"}]}}, "needs its --subnet"),
        ({"IPAM": {"Config": [{"Subnet": "nope"}]}}, "not a network"),
        ({"IPAM": {"Config": [{"Subnet": "10.0.0.0/31"}]}}, "too small"),
        ({"IPAM": {"Config": [{"Subnet": "10.0.0.0/24", "Gateway": "10.1.0.1"}]}}, "not within the subnet"),
        (
            {"IPAM": {"Config": [{"Subnet": "10.0.0.0/24", "IPRange": "10.1.0.0/24"}]}},
            "not within the subnet",
        ),
    ],
)
def test_wrong_bodies_are_refused(body: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        wanted_network({"Name": "mine", **body})


@pytest.mark.parametrize(
    "body",
    [
        {"Driver": "overlay"},
        {"Ingress": True},
        {"ConfigFrom": {"Network": "x"}},
        {"Scope": "swarm"},
        {"IPAM": {"Driver": "x"}},
        {"Options": {"x": "y"}},
    ],
)
def test_what_is_not_there_yet_is_said(body: dict[str, Any]) -> None:
    with pytest.raises(NotSupported, match=r"cannot create network: .* is not supported yet"):
        wanted_network({"Name": "mine", **body})
