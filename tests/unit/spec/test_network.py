"""What a container asks of networks: modes, endpoints, ports, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest, NotSupported
from pysup.supervisor.spec.container import Binding, NetworkSpec
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.joining import (
    INTERFACE,
    SYSCTLS,
    joined,
    link_local,
    links_of,
    option_warnings,
    sysctls_of,
    without_link,
)
from pysup.supervisor.spec.network import (
    mode_of,
    network_spec,
    refuse_conflicts,
    wanted_bindings,
    warnings,
    with_default,
)

SHARED = {"NetworkMode": "container:x"}


def asked(host: dict[str, Any] | None = None, **config: Any) -> NetworkSpec:
    return network_spec(Fields("create container", config), Fields("create container", host or {}))


def places(host: dict[str, Any] | None = None, endpoints: dict[str, Any] | None = None, **config: Any) -> Any:
    body = {**config, "NetworkingConfig": {"EndpointsConfig": endpoints or {}}}
    return joined(Fields("create container", body), Fields("create container", host or {}))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("", "bridge"), ("none", "none"), ("host", "host"), ("mine", "bridge"), ("container:web", "container")],
)
def test_a_mode_is_a_kind_of_namespace(mode: str, kind: str) -> None:
    assert mode_of(Fields("x", {"NetworkMode": mode})) == kind


def test_the_default_is_settled_once() -> None:
    for mode in (None, "", "default"):
        assert (
            with_default({"HostConfig": {"NetworkMode": mode}}, "none")["HostConfig"]["NetworkMode"] == "none"
        )
    assert with_default({}, "bridge")["HostConfig"] == {"NetworkMode": "bridge"}
    assert with_default({"HostConfig": {"NetworkMode": "host"}}, "bridge") == {
        "HostConfig": {"NetworkMode": "host"}
    }
    assert with_default({"HostConfig": 3}, "bridge") == {"HostConfig": 3}


def test_the_network_of_the_mode_comes_first() -> None:
    made = places({"NetworkMode": "b"}, {"a": {"Aliases": ["x", "x"]}, "b": {"GwPriority": 7}})
    assert [one.network for one in made] == ["b", "a"]
    assert made[0].asked["GwPriority"] == 7
    assert made[1].aliases == ("x",)
    assert [one.network for one in places({}, {"default": {"MacAddress": "02-00-00-00-00-0A"}})] == ["bridge"]
    assert places({}, {"default": {"MacAddress": "02-00-00-00-00-0A"}})[0].mac == "02:00:00:00:00:0a"
    (alone,) = places({}, MacAddress="02:00:00:00:00:01")
    assert alone.mac == alone.asked["MacAddress"] == "02:00:00:00:00:01"
    assert places({"NetworkMode": "none"}, {"none": {}}) == ()


def test_addresses_are_asked_for() -> None:
    ipam = {"IPv4Address": "10.0.0.9", "IPv6Address": "FD00::9"}
    (one,) = places({"NetworkMode": "mine"}, {"mine": {"IPAMConfig": ipam}})
    assert one.addresses == ("10.0.0.9", "fd00::9")


@pytest.mark.parametrize(
    ("host", "endpoints", "config", "words"),
    [
        ({"NetworkMode": "none"}, {"mine": {}}, {}, "cannot be had together"),
        ({"NetworkMode": "host"}, {"host": {"Aliases": ["x"]}}, {}, "address or a name of its own"),
        (
            {"NetworkMode": "none"},
            {},
            {"MacAddress": "02:00:00:00:00:01"},
            "conflicting options: mac-address",
        ),
        ({}, {"default": {"MacAddress": "01:00:00:00:00:01"}}, {}, "multicast"),
        ({}, {"default": {"MacAddress": "x"}}, {}, "not a MAC address"),
        ({}, {"default": {"Aliases": ["a b"]}}, {}, "--network-alias"),
        ({"Links": ["a b"]}, {}, {}, "--link 'a b' is not"),
        ({}, {"default": {"Links": [":x"]}}, {}, "--link ':x' is not"),
        (
            {"NetworkMode": "host", "Links": ["db:b"]},
            {},
            {},
            "conflicting options: host type network .* links",
        ),
        ({}, {"default": {"IPAMConfig": {"LinkLocalIPs": ["10.0.0.1"]}}}, {}, "is not a link-local address"),
        ({}, {"default": {"DriverOpts": {INTERFACE: "a/b"}}}, {}, "cannot be the name of an interface"),
        (
            {},
            {"default": {"DriverOpts": {SYSCTLS: "net.ipv4.conf.IFNAME.x=../1"}}},
            {},
            "is not net.ipv4.conf",
        ),
        ({}, {"default": {"IPAMConfig": {"IPv4Address": "fd00::1"}}}, {}, "not an IPv4 address"),
        ({}, {"default": {"IPAMConfig": {"IPv6Address": "1"}}}, {}, "not an IP address"),
    ],
)
def test_wrong_endpoints_are_refused(host: Any, endpoints: Any, config: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        places(host, endpoints, **config)


def test_what_is_not_there_yet_is_said() -> None:
    with pytest.raises(NotSupported, match="is not supported yet"):
        places({}, {"default": {"DriverOpts": {"com.docker.network.else": "y"}}})


def test_links_are_read_in_every_form() -> None:
    (one,) = places({"Links": ["/db:/web/d", "cache"]})
    assert links_of(one.asked) == (("db", "d"), ("cache", "cache"))
    (one,) = places({"NetworkMode": "mine", "Links": ["db:b"]}, {"mine": {"Links": ["web:d"]}})
    assert links_of(one.asked) == (("web", "d"),)
    assert links_of({}) == ()
    assert without_link({"Links": ["/db:/web/d", "cache", "db:c"]}, "d") == {"Links": ["cache", "db:c"]}
    assert without_link({"Links": ["cache"]}, "cache") == without_link({}, "x") == {"Links": []}


def test_options_of_an_endpoint_are_read() -> None:
    options = {
        "com.docker.network.endpoint.ifname": "lan0",
        "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.mtu=1400",
        "their.own": "on",
    }
    (one,) = places({}, {"default": {"DriverOpts": options, "IPAMConfig": {"LinkLocalIPs": ["169.254.8.8"]}}})
    assert one.interface == "lan0"
    assert sysctls_of(one.asked, "lan0") == (
        ("net/ipv4/conf/lan0/log_martians", "1"),
        ("net/ipv6/conf/lan0/mtu", "1400"),
    )
    assert list(link_local(one.asked)) == ["169.254.8.8"]
    (told,) = option_warnings([one])
    assert "'their.own' of network bridge is not known" in told


def test_ports_are_read() -> None:
    made = asked(
        {
            "PortBindings": {
                "80/tcp": [{"HostPort": "8080"}, {"HostIp": "::1", "HostPort": "8000-8010"}],
                "53/UDP": [],
            }
        },
        ExposedPorts={"80/tcp": {}, "90-91/udp": {}, "99": {}},
    )
    assert made.bindings == (
        Binding("tcp", 80, "", 8080, 8080),
        Binding("tcp", 80, "::1", 8000, 8010),
        Binding("udp", 53),
    )
    assert made.exposed == ((80, "tcp"), (90, "udp"), (91, "udp"), (99, "tcp"))


@given(st.sets(st.tuples(st.integers(1, 65535), st.sampled_from(["tcp", "udp"])), max_size=8), st.booleans())
def test_publish_all_gives_each_exposed_port_one_binding(
    ports: set[tuple[int, str]], everything: bool
) -> None:
    bound = sorted(ports)[:2]
    made = asked(
        {"PortBindings": {f"{port}/{kind}": [] for port, kind in bound}, "PublishAllPorts": everything},
        ExposedPorts={f"{port}/{kind}": {} for port, kind in ports},
    )
    found = [(one.port, one.protocol) for one in wanted_bindings(made)]
    assert len(found) == len(set(found))
    assert set(found) == (ports if everything else set(bound))


@pytest.mark.parametrize(
    ("host", "config", "words"),
    [
        ({"PortBindings": {"0/tcp": []}}, {}, "not a port from 1"),
        ({"PortBindings": {"80/icmp": []}}, {}, "protocol is one of"),
        ({"PortBindings": {"80-81/tcp": []}}, {}, "an entry of its own"),
        ({"PortBindings": {"80/tcp": [{"HostPort": "70000"}]}}, {}, "not a port"),
        ({"PortBindings": {"80/tcp": [{"HostPort": "9-8"}]}}, {}, "an empty range"),
        ({"PortBindings": {"80/tcp": [{"HostIp": "x"}]}}, {}, "not an IP address"),
        ({}, {"ExposedPorts": {"x": {}}}, "not a port"),
        ({"Dns": ["ns"]}, {}, "--dns"),
        ({"DnsSearch": ["a b"]}, {}, "--dns-search"),
        ({"ExtraHosts": ["a"]}, {}, "--add-host"),
        ({"ExtraHosts": ["a:b"]}, {}, "--add-host"),
        ({"NetworkMode": "container:"}, {}, "names no container"),
        ({**SHARED, "PortBindings": {"80/tcp": []}}, {}, "conflicting options: port publishing and"),
        ({**SHARED, "PublishAllPorts": True}, {}, "conflicting options: port publishing and"),
        ({**SHARED, "Dns": ["1.1.1.1"]}, {}, "conflicting options: dns and the network mode"),
        ({**SHARED, "ExtraHosts": ["a:1.1.1.1"]}, {}, "conflicting options: custom host-to-IP mapping"),
    ],
)
def test_wrong_ports_and_names_are_refused(host: dict[str, Any], config: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        asked(host, **config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Hostname": "x"}, "conflicting options: hostname and the network mode"),
        ({"ExposedPorts": {"80/tcp": {}}}, "conflicting options: port exposing and"),
    ],
)
def test_what_the_other_container_decides_cannot_be_typed(config: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        refuse_conflicts(Fields("x", {**config, "HostConfig": SHARED}))
    refuse_conflicts(Fields("x", {**config, "HostConfig": {"NetworkMode": "host"}}))
    asked(SHARED, **config)  # what its image, or the other container, has brought


def test_names_are_read() -> None:
    made = asked(
        {"Dns": ["1.1.1.1"], "DnsSearch": ["."], "ExtraHosts": ["a:1.2.3.4", "b:host-gateway", "c:[::1]"]}
    )
    assert (made.dns, made.dns_search) == (("1.1.1.1",), (".",))
    assert made.extra_hosts == (("a", "1.2.3.4"), ("b", "host-gateway"), ("c", "::1"))


def test_a_port_of_the_hosts_network_is_told_to_be_dropped() -> None:
    host = Fields("x", {"NetworkMode": "host", "PortBindings": {"80/tcp": []}})
    assert list(warnings(host)) == ["Published ports are discarded when using host network mode"]
    (told,) = warnings(Fields("x", {**SHARED, "DnsSearch": ["a.test"]}))
    assert told.startswith("--dns-search and --dns-option have no effect")
