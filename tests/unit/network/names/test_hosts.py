"""/etc/hosts, as docker writes it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.network.names.hosts import (
    ExtraHost,
    own_names,
    render_hosts,
)

OWN = (ip_address("10.9.0.2"), ip_address("fd09::2"))
GATEWAYS = (ip_address("10.9.0.1"), ip_address("fd09::1"))


def test_local_names_then_extra_ones_then_its_own() -> None:
    extra = [ExtraHost("other", "192.0.2.1"), ExtraHost("host", "host-gateway")]
    assert render_hosts(own_names("web", "example.org"), OWN, extra, gateways=GATEWAYS) == (
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::\tip6-localnet\n"
        "ff00::\tip6-mcastprefix\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n"
        "192.0.2.1\tother\n"
        "10.9.0.1\thost\n"
        "fd09::1\thost\n"
        "10.9.0.2\tweb.example.org web\n"
        "fd09::2\tweb.example.org web\n"
    )


def test_without_ipv6() -> None:
    assert render_hosts("web", OWN, ipv6=False) == "127.0.0.1\tlocalhost\n10.9.0.2\tweb\n"


def test_names() -> None:
    assert (own_names("web"), own_names("web.lan")) == ("web", "web.lan web")


def test_the_hosts_gateway_must_exist() -> None:
    with pytest.raises(BadRequest, match="cannot use --add-host a:host-gateway: the host has no address"):
        render_hosts("web", OWN, [ExtraHost("a", "host-gateway")])
