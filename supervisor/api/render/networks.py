"""Networks, and a container's places on them, as docker shows them (moby api/types/network, API 1.47)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any, NamedTuple

from pysup.store.endpoints import Lease, Port
from pysup.store.networks import Network, Subnet
from pysup.supervisor.engine.containers.states import ALIVE
from pysup.supervisor.engine.networks.places import Place, gateways
from pysup.supervisor.network.addresses import IPV4, IPV6
from pysup.supervisor.network.rules import ip_version
from pysup.supervisor.spec.network import CONTAINER, ON_NONE
from pysup.supervisor.spec.timestamps import rfc3339

Json = dict[str, Any]
_SHORT = 12


class Attached(NamedTuple):
    """What the store says of a container's networks."""

    places: Sequence[Place] = ()
    """The one with the default route first."""
    ports: Sequence[Port] = ()
    """Those that are published now."""
    called: Sequence[str] = ()
    """What others call it by their links: ``/web/db``."""
    links: Sequence[str] = ()
    """Its own ones: ``/db-1:/web/db``."""


def network_mode(host_config: Json) -> str:
    """``none``, ``host``, ``container:ID`` or a network's name."""
    return str(host_config.get("NetworkMode") or "none")


def has_nothing(host_config: Json) -> str:
    """The network that shows as one which has nothing, ``none`` or ``host``; empty: it is on neither by now.

    By the rule of spec/network.py, mode_of().
    """
    mode, here = network_mode(host_config), (host_config.get("Pysup") or {}).get(ON_NONE)
    if mode == "host" or mode.startswith(CONTAINER):
        return "host" if mode == "host" else ""
    return "none" if here or (here is None and mode == "none") else ""


# -- a container's side --------------------------------------------------------------------------------------


def endpoints(empty: str, attached: Attached, names: Sequence[str], state: str) -> Json:
    """NetworkSettings.Networks. ``empty``: has_nothing(); ``names``: dns_names()."""
    if attached.places:
        alive = state in ALIVE
        return {
            place.network.name: _endpoint(place, attached, names, alive=alive) for place in attached.places
        }
    return {empty: dict(_EMPTY)} if empty else {}


_EMPTY: Json = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None, "GwPriority": 0,
    "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "",
    "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": None,
}  # fmt: skip


def dns_names(name: str, container_id: str, hostname: str) -> list[str]:
    """What a container is called on networks of users, beside its aliases (moby daemon, buildEndpointDNSNames)."""
    return list(dict.fromkeys(filter(None, (name, container_id[:_SHORT], hostname))))


def _endpoint(place: Place, attached: Attached, names: Sequence[str], *, alive: bool) -> Json:
    """The addresses stay a container's while it is at rest, but as docker does, they are not shown then."""
    asked = place.endpoint.asked
    aliases = list(place.endpoint.aliases)
    shown = {
        **_EMPTY,
        "IPAMConfig": asked.get("IPAMConfig"),
        "Aliases": aliases or None,
        "Links": None if place.network.builtin else asked.get("Links") or None,
        "DriverOpts": asked.get("DriverOpts") or None,
        "MacAddress": asked.get("MacAddress") or "",
        "GwPriority": asked.get("GwPriority") or 0,
        "NetworkID": place.network.id,
        "DNSNames": list(dict.fromkeys((*names[:1], *aliases, *names[1:])))
        if not place.network.builtin
        else None,
    }
    return {**shown, **_live(place, attached)} if alive else shown


def _live(place: Place, attached: Attached) -> Json:
    ways, own = {}, {}
    if not place.is_routed:
        ways = {ip_version(way): way for way in gateways(list(attached.places), place)}
        own = {ip_version(subnet.gateway): subnet.gateway for _, subnet in place.addresses if subnet.gateway}
    v4, v6 = _lease(place, IPV4), _lease(place, IPV6)
    return {
        "MacAddress": place.endpoint.mac,
        "EndpointID": place.endpoint.id,
        "Gateway": ways.get(IPV4) or own.get(IPV4) or "",
        "IPAddress": v4[0],
        "IPPrefixLen": v4[1],
        "IPv6Gateway": ways.get(IPV6) or own.get(IPV6) or "",
        "GlobalIPv6Address": v6[0],
        "GlobalIPv6PrefixLen": v6[1],
    }


def _lease(place: Place, version: int) -> tuple[str, int]:
    for lease, _ in place.addresses:
        if ip_version(lease.address) == version:
            return lease.address, _length(lease)
    return "", 0


def _length(lease: Lease) -> int:
    return ip_network(lease.subnet).prefixlen


def settings(
    empty: str, attached: Attached, exposed: Iterable[str], names: Sequence[str], state: str
) -> Json:
    """NetworkSettings of inspect; its own address fields are those of the default network, as in old versions."""
    shown = endpoints(empty, attached, names, state)
    default: Json = shown.get("bridge", _EMPTY)
    same = (
        "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen",
        "IPv6Gateway", "MacAddress",
    )  # fmt: skip
    return {
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "Ports": ports(attached, exposed) if state in ALIVE else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{key: default[key] for key in same},
        "Networks": shown,
    }


def ports(attached: Attached, exposed: Iterable[str]) -> Json:
    """``80/tcp`` to its bindings; null where it is exposed only."""
    shown: Json = {_with_protocol(port): None for port in exposed} if attached.places else {}
    for port in attached.ports:
        key = f"{port.container_port}/{port.protocol}"
        shown[key] = [*(shown.get(key) or []), {"HostIp": port.host_ip, "HostPort": str(port.host_port)}]
    return shown


def port_list(attached: Attached, exposed: Iterable[str], state: str) -> list[Json]:
    """Ports of an entry of the list."""
    if state not in ALIVE or not attached.places:
        return []
    listed: list[Json] = [
        {
            "IP": one.host_ip,
            "PrivatePort": one.container_port,
            "PublicPort": one.host_port,
            "Type": one.protocol,
        }
        for one in attached.ports
    ]
    bound = {f"{one.container_port}/{one.protocol}" for one in attached.ports}
    for key in sorted({_with_protocol(port) for port in exposed} - bound):
        number, _, protocol = key.partition("/")
        listed.append({"PrivatePort": int(number), "Type": protocol})
    return listed


def _with_protocol(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


# -- a network -----------------------------------------------------------------------------------------------


class Guest(NamedTuple):
    """A container on a network."""

    container_id: str
    name: str
    place: Place


def network(row: Network, subnets: Sequence[Subnet], guests: Sequence[Guest] | None = None) -> Json:
    """An entry of GET /networks; with ``guests`` the answer of inspect."""
    return {
        "Name": row.name,
        "Id": row.id,
        "Created": rfc3339(row.created_at),
        "Scope": "local",
        "Driver": row.driver,
        "EnableIPv4": row.ipv4,
        "EnableIPv6": row.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": row.document.get("IPAMOptions") or None,
            "Config": [_ipam(one) for one in subnets] or None,
        },
        "Internal": row.internal,
        "Attachable": bool(row.document.get("Attachable")),
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {guest.container_id: _guest(guest) for guest in guests or ()},
        "Options": row.options,
        "Labels": row.labels,
    }


def _ipam(one: Subnet) -> Json:
    shown: Json = {"Subnet": one.subnet}
    if one.ip_range:
        shown["IPRange"] = one.ip_range
    if one.gateway:
        shown["Gateway"] = one.gateway
    if one.reserved:
        shown["AuxiliaryAddresses"] = one.reserved
    return shown


def _guest(guest: Guest) -> Json:
    def shown(version: int) -> str:
        address, length = _lease(guest.place, version)
        return f"{address}/{length}" if address else ""

    return {
        "Name": guest.name,
        "EndpointID": guest.place.endpoint.id,
        "MacAddress": guest.place.endpoint.mac,
        "IPv4Address": shown(IPV4),
        "IPv6Address": shown(IPV6),
    }
