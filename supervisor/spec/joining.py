"""Which networks a container is to be on, and as what: NetworkingConfig, and the body of ``network connect``. Pure.

Sources: moby api/types/network/endpoint.go (API 1.47); libnetwork/netlabel/labels.go for the options of an endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.names import is_name
from pysup.supervisor.spec.network import BRIDGE, DEFAULTS, HOST_NAME, SHARING, address_of, conflict, mode_of

INTERFACE = "com.docker.network.endpoint.ifname"
SYSCTLS = "com.docker.network.endpoint.sysctls"
_DOCKERS = "com.docker.network."
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}", re.ASCII)
_DEVICE = re.compile(r"[A-Za-z0-9_.-]{1,15}", re.ASCII)
"""IFNAMSIZ - 1, netdevice(7)."""
_SYSCTL = re.compile(
    r"net\.(ipv[46]|mpls)\.(conf|neigh)\.(?:IFNAME|ifname)\.([a-z0-9_]+)=([^\s/,]+)", re.ASCII
)
"""Docker's command line writes all of it in small letters."""
_MULTICAST = 1
_OWN = ("Aliases", "IPAMConfig", "Links", "DriverOpts")

Link = tuple[str, str]
"""Another container, and what it is called here."""


class Joining(NamedTuple):
    """One network that a container is to be on."""

    network: str
    """Name or id, as it was typed."""
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    interface: str = ""
    """Its name inside; empty: the next of eth0, eth1, …"""
    asked: Json = {}  # noqa: RUF012 - a NamedTuple's default is never changed
    """Docker's EndpointSettings as given: what inspect shows again."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those that were asked for."""
        return tuple(address for address in (self.ipv4, self.ipv6) if address)


def joined(body: Fields, host: Fields) -> tuple[Joining, ...]:
    """The networks of a create body, that of NetworkMode first."""
    mode, name = mode_of(host), host.text("NetworkMode")
    name = BRIDGE if name in DEFAULTS else name
    endpoints = body.inner("NetworkingConfig").inner("EndpointsConfig")
    given = {key: joining(endpoints.inner(key), key) for key in endpoints}
    links = _links(host)
    if mode != "bridge":
        if links:
            raise conflict(body, f"{mode} type network can't be used with links")
        return _none(body, given, name)
    for default in ("default", BRIDGE):  # docker's command line calls the default network so
        if default in given and name == BRIDGE:
            given[BRIDGE] = given.pop(default)._replace(network=BRIDGE)
    if name == "none":  # copied from one that has left it
        return tuple(given.values())
    first = given.pop(name, Joining(name))
    mac = body.text("MacAddress")  # where clients before API 1.44 (docker 25) send it
    if mac and not first.mac:
        first = first._replace(mac=_mac(body, mac), asked={**first.asked, "MacAddress": mac})
    if links and not links_of(first.asked):
        first = first._replace(asked={**first.asked, "Links": links})
    return (first, *given.values())


def _none(body: Fields, given: dict[str, Joining], name: str) -> tuple[Joining, ...]:
    """Docker's command line sends one empty endpoint, keyed by the mode, whatever that is."""
    if body.text("MacAddress") or any(one.mac for one in given.values()):
        raise conflict(body, "mac-address and the network mode")
    for key, one in given.items():
        if any(one.asked.get(setting) for setting in _OWN):
            raise body.bad(f"--network {name[:80]} conflicts with an address or a name of its own: {SHARING}")
        if key not in (name, "default"):
            raise body.bad(
                f"--network {name[:80]} cannot be had together with --network {key[:80]}: {SHARING}"
            )
    return ()


def joining(endpoint: Fields, network: str) -> Joining:
    """One entry of EndpointsConfig; the body of ``network connect`` has the same. Raises BadRequest, NotSupported."""
    ipam = endpoint.inner("IPAMConfig")
    _check_link_local(ipam)
    aliases = tuple(dict.fromkeys(_alias(endpoint, alias) for alias in endpoint.texts("Aliases")))
    return Joining(
        network,
        aliases,
        address_of(endpoint, "--ip", ipam.text("IPv4Address"), version=4),
        address_of(endpoint, "--ip6", ipam.text("IPv6Address"), version=6),
        _mac(endpoint, endpoint.text("MacAddress")),
        _interface(endpoint),
        {
            "IPAMConfig": endpoint.raw("IPAMConfig"),
            "Aliases": list(aliases),
            "GwPriority": endpoint.integer("GwPriority"),
            "MacAddress": endpoint.text("MacAddress"),
            "Links": _links(endpoint),
            "DriverOpts": _options(endpoint),
        },
    )


def _alias(fields: Fields, alias: str) -> str:
    if not is_name(alias) and not HOST_NAME.fullmatch(alias):
        raise fields.bad(f"--network-alias {alias[:64]!r} is not a name")
    return alias


def _mac(fields: Fields, text: str) -> str:
    if not text:
        return ""
    if not _MAC.fullmatch(text):
        raise fields.bad(f"--mac-address {text[:64]!r} is not a MAC address")
    if int(text[:2], 16) & _MULTICAST:
        raise fields.bad(f"--mac-address {text!r} is a multicast address, which no interface can have")
    return text.lower().replace("-", ":")


def _check_link_local(ipam: Fields) -> None:
    for text in ipam.texts("LinkLocalIPs"):
        if not ip_address(address_of(ipam, "--link-local-ip", text) or "::").is_link_local:
            raise ipam.bad(
                f"--link-local-ip {text!r} is not a link-local address (169.254.0.0/16, fe80::/10)"
            )


def link_local(asked: Mapping[str, object]) -> Iterator[str]:
    """The further addresses of an endpoint's settings as given."""
    ipam = asked.get("IPAMConfig")
    found = ipam.get("LinkLocalIPs") if isinstance(ipam, dict) else None
    return iter(found or ())


# -- links ---------------------------------------------------------------------------------------------------


def _links(fields: Fields) -> list[str]:
    """``CONTAINER:ALIAS`` of each. Docker's inspect writes those of the default network ``/CONTAINER:/OWN/ALIAS``."""
    found = []
    for text in fields.texts("Links"):
        container, _, alias = text.partition(":")
        container, alias = (
            container.removeprefix("/"),
            alias.rpartition("/")[2] or container.removeprefix("/"),
        )
        if not is_name(container) or not HOST_NAME.fullmatch(alias):
            raise fields.bad(f"--link {text[:64]!r} is not CONTAINER or CONTAINER:ALIAS")
        found.append(f"{container}:{alias}")
    return found


def links_of(asked: Mapping[str, object]) -> tuple[Link, ...]:
    """The links of an endpoint's settings as given: container and alias of each."""
    texts = asked.get("Links")
    pairs = (str(text).partition(":") for text in (texts if isinstance(texts, list) else ()))
    return tuple((container, alias) for container, _, alias in pairs)


def without_link(document: Mapping[str, object], alias: str) -> dict[str, object]:
    """A document that has Links, but not the one of this name."""
    texts = document.get("Links")
    kept = [text for text in (texts if isinstance(texts, list) else ()) if _alias_of(text) != alias]
    return {**document, "Links": kept}


def _alias_of(link: str) -> str:
    return link.rpartition(":")[2].rpartition("/")[2]


# -- options of an endpoint ----------------------------------------------------------------------------------


def _options(endpoint: Fields) -> dict[str, str]:
    options = endpoint.mapping("DriverOpts")
    for key in options:
        if key.startswith(_DOCKERS) and key not in (INTERFACE, SYSCTLS):
            raise endpoint.lacking(f"--network driver-opt={key[:80]}", f"there is {INTERFACE} and {SYSCTLS}")
    for text in filter(None, options.get(SYSCTLS, "").split(",")):
        if not _SYSCTL.fullmatch(text):
            raise endpoint.bad(f"{SYSCTLS} {text[:80]!r} is not net.ipv4.conf.IFNAME.NAME=VALUE, or the like")
    return options


def _interface(endpoint: Fields) -> str:
    name = endpoint.mapping("DriverOpts").get(INTERFACE, "")
    if name and (not _DEVICE.fullmatch(name) or name in (".", "..", "lo")):
        raise endpoint.bad(
            f"{INTERFACE} {name[:64]!r} cannot be the name of an interface (at most 15 characters)"
        )
    return name


def sysctls_of(asked: Mapping[str, object], interface: str) -> tuple[tuple[str, str], ...]:
    """Path below /proc/sys and value of each sysctl of an endpoint's settings as given."""
    options = asked.get("DriverOpts")
    text = options.get(SYSCTLS, "") if isinstance(options, dict) else ""
    found = (match.groups() for match in map(_SYSCTL.fullmatch, text.split(",")) if match)
    return tuple((f"net/{family}/{kind}/{interface}/{name}", value) for family, kind, name, value in found)


def option_warnings(places: Iterable[Joining]) -> Iterator[str]:
    """Options that are another engine's, which inspect shows again."""
    for one in places:
        options = one.asked.get("DriverOpts") or {}
        for key in options:
            if key not in (INTERFACE, SYSCTLS):
                yield f"the option {key[:80]!r} of network {one.network[:80]} is not known to pysup, and has no effect"
