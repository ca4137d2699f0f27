"""/etc/hosts and /etc/resolv.conf of a container."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from pysup.supervisor.engine.networks.places import Place
from pysup.supervisor.kernel.files import text_of
from pysup.supervisor.network.addresses import IPV6
from pysup.supervisor.network.names import hosts, resolv_conf
from pysup.supervisor.network.names.hosts import ExtraHost, Line, own_names, render_extra, render_hosts
from pysup.supervisor.network.names.resolv_conf import ResolvConf
from pysup.supervisor.spec.container import ContainerSpec, NetworkSpec

_HOST = ip_address("127.0.0.1")
"""What host-gateway is with the host's own network."""


def resolving(network: NetworkSpec, servers: Iterable[str]) -> ResolvConf:
    """The host's resolv.conf with what the container, or else the daemon (``servers``), has of its own."""
    asked = network.dns or tuple(servers)
    return resolv_conf.override(_of_host(), asked, network.dns_search, network.dns_options)


def _of_host() -> ResolvConf:
    found = resolv_conf.parse(text_of(resolv_conf.PATH))
    if found.is_systemds() and text_of(resolv_conf.SYSTEMD_PATH):
        return resolv_conf.parse(text_of(resolv_conf.SYSTEMD_PATH), resolv_conf.SYSTEMD_PATH)
    return found


def name_files(
    spec: ContainerSpec,
    places: Sequence[Place],
    linked: Iterable[Line],
    conf: ResolvConf,
    *,
    ways: Iterable[str],
    resolver: bool,
) -> dict[str, str]:
    """Their contents by name. ``linked``: other containers; ``ways``: addresses by which the host is reached.

    ``resolver``: the container has one of its own. Raises BadRequest: host-gateway is asked for, and there is no way.
    """
    ipv6 = any(place.address(IPV6) for place in places)
    addresses = [ip_address(lease.address) for place in places for lease, _ in place.addresses]
    gateways = map(ip_address, ways)
    extra = _extra(spec.network)
    names = own_names(spec.hostname, spec.domainname)
    return {
        "hosts": render_hosts(names, addresses, extra, gateways=gateways, linked=linked, ipv6=ipv6),
        "resolv.conf": resolv_conf.for_user_network(conf)
        if resolver
        else resolv_conf.for_default_bridge(conf, ipv6=ipv6),
    }


def still_reached(spec: ContainerSpec, ways: Sequence[str]) -> ContainerSpec:
    """The spec without host-gateway if nothing leads to the host any more: a container that was taken off its
    networks has names without it, until it is on another one.
    """
    if ways:
        return spec
    kept = tuple(one for one in spec.network.extra_hosts if one[1] != hosts.HOST_GATEWAY)
    return replace(spec, network=replace(spec.network, extra_hosts=kept))


def files_of_host(network: NetworkSpec, conf: ResolvConf) -> dict[str, str]:
    """With the host's network: the host's own files as they are now, and what is asked for besides.

    Raises BadRequest.
    """
    here = text_of(hosts.PATH)
    ended = here if here.endswith("\n") or not here else f"{here}\n"
    return {
        "hosts": ended + render_extra(_extra(network), [_HOST]),
        "resolv.conf": _overridden(conf).get("resolv.conf", text_of(resolv_conf.PATH)),
    }


def files_of_nobody(network: NetworkSpec, servers: Sequence[str], ways: Iterable[str]) -> dict[str, str]:
    """Without a network: what is asked for; ``servers`` as for resolving(). What is not, stays as it was made.

    Raises BadRequest: host-gateway is asked for, and there is no default network.
    """
    own = {"hosts": render_hosts("", [], _extra(network), gateways=map(ip_address, ways))}
    asked = servers or network.dns or network.dns_search or network.dns_options
    return {**own, **_overridden(resolving(network, servers))} if asked else own


def _overridden(conf: ResolvConf) -> dict[str, str]:
    return {"resolv.conf": resolv_conf.for_host_network(conf)} if conf.overridden else {}


def _extra(network: NetworkSpec) -> list[ExtraHost]:
    return [ExtraHost(name, address) for name, address in network.extra_hosts]
