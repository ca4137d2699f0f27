"""What a container asks of networks: HostConfig.NetworkMode, NetworkingConfig, and its ports. Pure.

Sources: moby api/types/container/hostconfig.go and api/types/network/endpoint.go (API 1.47).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pysup.supervisor.spec.container import Binding, NetworkMode, NetworkSpec
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.names import is_name

BRIDGE = "bridge"
"""The name of the network that a container is on if it does not say."""
CONTAINER = "container:"
_DEFAULTS = ("", "default")
_PROTOCOLS = ("tcp", "udp", "sctp")
_LAST_PORT = 65535
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}", re.ASCII)
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?", re.ASCII)
_MULTICAST = 1
_SHARING = "a container in the network of another one, or of the host, has no settings of its own"


class Joining(NamedTuple):
    """One network that a container is to be on."""

    network: str
    """Name or id, as it was typed."""
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    asked: Json = {}  # noqa: RUF012 - a NamedTuple's default is never changed
    """Docker's EndpointSettings as given: what inspect shows again."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those that were asked for."""
        return tuple(address for address in (self.ipv4, self.ipv6) if address)


def with_default(body: Json, network: str) -> Json:
    """A create body in which the mode that docker calls ``default`` is a network by name."""
    host = body.get("HostConfig") or {}
    if not isinstance(host, dict) or host.get("NetworkMode") not in (None, *_DEFAULTS):
        return body
    return {**body, "HostConfig": {**host, "NetworkMode": network}}


def mode_of(host: Fields) -> NetworkMode:
    """Which network namespace it has: its own (bridge: on networks, none: alone), the host's, or another one's."""
    mode = host.text("NetworkMode", BRIDGE)
    if mode in ("host", "none"):
        return "host" if mode == "host" else "none"
    return "container" if mode.startswith(CONTAINER) else "bridge"


def network_spec(config: Fields, host: Fields) -> NetworkSpec:
    """All but the networks themselves, which are rows of the store once the container is there."""
    return NetworkSpec(
        container=_shared(host),
        bindings=tuple(_bindings(host)),
        exposed=tuple(exposed(config)),
        publish_all=host.flag("PublishAllPorts"),
        dns=tuple(_address(host, "--dns", text) for text in host.texts("Dns")),
        dns_options=tuple(_word(host, "--dns-option", text) for text in host.texts("DnsOptions")),
        dns_search=tuple(_word(host, "--dns-search", text) for text in host.texts("DnsSearch")),
        extra_hosts=tuple(_extra_host(host, text) for text in host.texts("ExtraHosts")),
    )


def _shared(host: Fields) -> str:
    mode = host.text("NetworkMode")
    if not mode.startswith(CONTAINER):
        return ""
    if mode == CONTAINER:
        raise host.bad("--network container: names no container")
    for key, flag in (("PortBindings", "--publish"), ("Dns", "--dns"), ("ExtraHosts", "--add-host")):
        if host.raw(key):
            raise host.bad(f"{flag} conflicts with --network {mode[:80]}: {_SHARING}")
    return mode.removeprefix(CONTAINER)


# -- networks ------------------------------------------------------------------------------------------------


def joined(body: Fields, host: Fields) -> tuple[Joining, ...]:
    """The networks of a create body, that of NetworkMode first."""
    mode, name = mode_of(host), host.text("NetworkMode")
    name = BRIDGE if name in _DEFAULTS else name
    endpoints = body.inner("NetworkingConfig").inner("EndpointsConfig")
    given = {key: joining(endpoints.inner(key), key) for key in endpoints}
    if mode != "bridge":
        return _none(body, given, name)
    for default in ("default", BRIDGE):  # docker's command line calls the default network so
        if default in given and name == BRIDGE:
            given[BRIDGE] = given.pop(default)._replace(network=BRIDGE)
    first = given.pop(name, Joining(name))
    if body.text("MacAddress") and not first.mac:
        first = first._replace(mac=_mac(body, body.text("MacAddress")))
    return (first, *given.values())


def _none(body: Fields, given: dict[str, Joining], name: str) -> tuple[Joining, ...]:
    """Docker's command line sends one empty endpoint, keyed by the mode, whatever that is."""
    for key, one in given.items():
        if key not in (name, "default") or one.aliases or one.addresses or one.mac:
            raise body.bad(
                f"--network {name[:80]} cannot be had together with --network {key[:80]}: {_SHARING}"
            )
    if body.text("MacAddress"):
        raise body.bad(f"--mac-address conflicts with --network {name[:80]}: {_SHARING}")
    return ()


def joining(endpoint: Fields, network: str) -> Joining:
    """One entry of EndpointsConfig; the body of ``network connect`` has the same. Raises BadRequest, NotSupported."""
    ipam = endpoint.inner("IPAMConfig")
    if endpoint.texts("Links"):
        raise endpoint.lacking("--link", "containers on one network find each other by name")
    if ipam.texts("LinkLocalIPs"):
        raise endpoint.lacking("--link-local-ip")
    for key in endpoint.mapping("DriverOpts"):
        raise endpoint.lacking(f"--network driver-opt={key[:64]!r}")
    priority = endpoint.integer("GwPriority")
    aliases = tuple(dict.fromkeys(_alias(endpoint, alias) for alias in endpoint.texts("Aliases")))
    asked = {"IPAMConfig": endpoint.raw("IPAMConfig"), "Aliases": list(aliases), "GwPriority": priority}
    return Joining(
        network,
        aliases,
        _address(endpoint, "--ip", ipam.text("IPv4Address"), version=4),
        _address(endpoint, "--ip6", ipam.text("IPv6Address"), version=6),
        _mac(endpoint, endpoint.text("MacAddress")),
        {**asked, "MacAddress": endpoint.text("MacAddress")},
    )


def _alias(fields: Fields, alias: str) -> str:
    if not is_name(alias) and not _HOST_NAME.fullmatch(alias):
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


def _address(fields: Fields, flag: str, text: str, version: int = 0) -> str:
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise fields.bad(f"{flag} {text[:64]!r} is not an IP address") from None
    if version and address.version != version:
        raise fields.bad(f"{flag} {text!r} is not an IPv{version} address")
    return str(address)


def _word(fields: Fields, flag: str, text: str) -> str:
    if not text or any(sign.isspace() for sign in text):
        raise fields.bad(f"{flag} {text[:64]!r} is not one word")
    return text


def _extra_host(fields: Fields, text: str) -> tuple[str, str]:
    """``name:address``; the address may be ``host-gateway``."""
    name, colon, address = text.partition(":")
    if not colon or not _HOST_NAME.fullmatch(name):
        raise fields.bad(f"--add-host {text[:64]!r} is not NAME:ADDRESS")
    address = address.strip("[]")
    return name, address if address == "host-gateway" else _address(fields, f"--add-host {name}:", address)


# -- ports ---------------------------------------------------------------------------------------------------


def exposed(config: Fields) -> Iterator[tuple[int, str]]:
    """(port, protocol) of each port in ExposedPorts, whose keys are ``80/tcp``, ``80`` or ``80-90/udp``."""
    for key in config.names("ExposedPorts"):
        first, last, protocol = _port_key(config, "--expose", key)
        yield from ((port, protocol) for port in range(first, last + 1))


def _bindings(host: Fields) -> Iterator[Binding]:
    bindings = host.inner("PortBindings")
    for key in host.names("PortBindings"):
        first, last, protocol = _port_key(host, "--publish", key)
        if first != last:
            raise host.bad(f"--publish {key[:64]!r}: each port of the container has an entry of its own")
        for one in bindings.inners(key) or [Fields(host.verb, {})]:
            yield _binding(host, first, protocol, one)


def _binding(host: Fields, port: int, protocol: str, one: Fields) -> Binding:
    low, high = _port_range(host, one.text("HostPort"))
    return Binding(protocol, port, _address(host, "--publish", one.text("HostIp").strip("[]")), low, high)


def _port_key(fields: Fields, flag: str, key: str) -> tuple[int, int, str]:
    numbers, _, protocol = key.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise fields.bad(f"{flag} {key[:64]!r}: the protocol is one of {', '.join(_PROTOCOLS)}")
    low, dash, high = numbers.partition("-")
    first = _port(fields, flag, low)
    return first, _port(fields, flag, high) if dash else first, protocol


def _port_range(fields: Fields, text: str) -> tuple[int, int]:
    """``8080``, or ``8000-8010`` of which one is taken; (0, 0) for any."""
    if text in ("", "0"):
        return 0, 0
    low, dash, high = text.partition("-")
    first = _port(fields, "--publish", low)
    last = _port(fields, "--publish", high) if dash else first
    if last < first:
        raise fields.bad(f"--publish {text[:64]!r} is an empty range")
    return first, last


def _port(fields: Fields, flag: str, text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_PORT)) else 0
    if not 1 <= number <= _LAST_PORT:
        raise fields.bad(f"{flag} {text[:64]!r} is not a port from 1 to {_LAST_PORT}")
    return number


def wanted_bindings(network: NetworkSpec) -> Iterator[Binding]:
    """Those asked for, and with --publish-all a random port for each exposed one that has none yet."""
    yield from network.bindings
    if network.publish_all:
        bound = {(one.port, one.protocol) for one in network.bindings}
        yield from (
            Binding(protocol, port) for port, protocol in network.exposed if (port, protocol) not in bound
        )


def warnings(host: Fields) -> Iterable[str]:
    """What has no effect, as docker says it."""
    if host.text("NetworkMode") in ("host", "none") and host.raw("PortBindings"):
        yield f"Published ports are discarded when using {host.text('NetworkMode')} network mode"
