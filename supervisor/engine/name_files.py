"""/etc/hosts and /etc/resolv.conf of a container that is on networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from pysup.supervisor.engine.places import Place, gateways
from pysup.supervisor.network.addresses import IPV6
from pysup.supervisor.network.names import resolv_conf
from pysup.supervisor.network.names.hosts import ExtraHost, Line, own_names, render_hosts
from pysup.supervisor.network.names.resolv_conf import ResolvConf
from pysup.supervisor.spec.container import ContainerSpec, NetworkSpec


def resolving(network: NetworkSpec, servers: Iterable[str]) -> ResolvConf:
    """The host's resolv.conf with what the container, or else the daemon (``servers``), has of its own."""
    asked = network.dns or tuple(servers)
    return resolv_conf.override(_of_host(), asked, network.dns_search, network.dns_options)


def _of_host() -> ResolvConf:
    found = resolv_conf.parse(_text(resolv_conf.PATH))
    if found.is_systemds() and _text(resolv_conf.SYSTEMD_PATH):
        return resolv_conf.parse(_text(resolv_conf.SYSTEMD_PATH), resolv_conf.SYSTEMD_PATH)
    return found


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def name_files(
    spec: ContainerSpec, places: Sequence[Place], linked: Iterable[Line], conf: ResolvConf, *, resolver: bool
) -> dict[str, str]:
    """Their contents by name. ``linked``: other containers; ``resolver``: the container has one of its own."""
    ipv6 = any(place.address(IPV6) for place in places)
    addresses = [ip_address(lease.address) for place in places for lease, _ in place.addresses]
    ways = [ip_address(way) for place in places for way in gateways(places, place)]
    extra = [ExtraHost(name, address) for name, address in spec.network.extra_hosts]
    names = own_names(spec.hostname, spec.domainname)
    return {
        "hosts": render_hosts(names, addresses, extra, gateways=ways, linked=linked, ipv6=ipv6),
        "resolv.conf": resolv_conf.for_user_network(conf)
        if resolver
        else resolv_conf.for_default_bridge(conf, ipv6=ipv6),
    }
