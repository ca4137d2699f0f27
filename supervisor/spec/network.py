"""What a container asks of networks beside which they are (spec/joining.py): its mode, its names and its ports. Pure.

Source: moby api/types/container/hostconfig.go (API 1.47).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.container import Binding, NetworkMode, NetworkSpec
from pysup.supervisor.spec.fields import Fields, Json

BRIDGE = "bridge"
"""The name of the network that a container is on if it does not say."""
CONTAINER = "container:"
ON_NONE = "OnNone"
"""The setting of pysup's that says whether it is on the network none, where NetworkMode tells no more."""
DEFAULTS = ("", "default")
PROTOCOLS = ("tcp", "udp", "sctp")
LAST_PORT = 65535
HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?", re.ASCII)
SHARING = (
    "a container without a network, or in that of another one or of the host, has no settings of its own"
)
_PUBLISHING = "port publishing and the container type network mode"
_CONFLICTS = {
    "Dns": "dns and the network mode",
    "ExtraHosts": "custom host-to-IP mapping and the network mode",
    "PortBindings": _PUBLISHING,
    "PublishAllPorts": _PUBLISHING,
}
"""Fields of HostConfig, none of which goes with another container's network (moby runconfig/hostconfig_unix.go)."""


def with_default(body: Json, network: str) -> Json:
    """A create body in which the mode that docker calls ``default`` is a network by name."""
    host = body.get("HostConfig") or {}
    if not isinstance(host, dict) or host.get("NetworkMode") not in (None, *DEFAULTS):
        return body
    return {**body, "HostConfig": {**host, "NetworkMode": network}}


def mode_of(host: Fields) -> NetworkMode:
    """Which network namespace it has: its own (bridge: on networks, none: alone), the host's, or another one's."""
    mode = host.text("NetworkMode", BRIDGE)
    if mode == "host":
        return "host"
    if mode.startswith(CONTAINER):
        return "container"
    here = host.inner("Pysup").raw(ON_NONE)
    return "none" if here or (here is None and mode == "none") else "bridge"


def network_spec(config: Fields, host: Fields) -> NetworkSpec:
    """All but the networks themselves, which are rows of the store once the container is there."""
    return NetworkSpec(
        container=_shared(host),
        bindings=tuple(_bindings(host)),
        exposed=tuple(exposed(config)),
        publish_all=host.flag("PublishAllPorts"),
        dns=tuple(address_of(host, "--dns", text) for text in host.texts("Dns")),
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
    for key, what in _CONFLICTS.items():
        if host.raw(key):
            raise conflict(host, what)
    return mode.removeprefix(CONTAINER)


def refuse_conflicts(body: Fields) -> None:
    """What nobody may ask for besides another one's network, though an image, or that one, may bring it.

    Of a body as it was typed. Raises BadRequest.
    """
    if mode_of(body.inner("HostConfig")) == "container":
        if body.text("Hostname"):
            raise conflict(body, "hostname and the network mode")
        if body.raw("ExposedPorts"):
            raise conflict(body, "port exposing and the container type network mode")


def conflict(fields: Fields, what: str) -> BadRequest:
    """Docker's words (moby runconfig/errors.go), and why."""
    return fields.bad(f"conflicting options: {what}: {SHARING}")


def address_of(fields: Fields, flag: str, text: str, version: int = 0) -> str:
    """An IP address as ipaddress writes it; empty if none is given. Raises BadRequest."""
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
    if not colon or not HOST_NAME.fullmatch(name):
        raise fields.bad(f"--add-host {text[:64]!r} is not NAME:ADDRESS")
    address = address.strip("[]")
    return name, address if address == "host-gateway" else address_of(fields, f"--add-host {name}:", address)


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
    return Binding(protocol, port, address_of(host, "--publish", one.text("HostIp").strip("[]")), low, high)


def _port_key(fields: Fields, flag: str, key: str) -> tuple[int, int, str]:
    numbers, _, protocol = key.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise fields.bad(f"{flag} {key[:64]!r}: the protocol is one of {', '.join(PROTOCOLS)}")
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
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(LAST_PORT)) else 0
    if not 1 <= number <= LAST_PORT:
        raise fields.bad(f"{flag} {text[:64]!r} is not a port from 1 to {LAST_PORT}")
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
    """What has no effect, as docker says it; docker says nothing of the last."""
    if host.text("NetworkMode") in ("host", "none") and host.raw("PortBindings"):
        yield f"Published ports are discarded when using {host.text('NetworkMode')} network mode"
    if mode_of(host) == "container" and (host.raw("DnsSearch") or host.raw("DnsOptions")):
        yield "--dns-search and --dns-option have no effect: names are asked for as the other container does"
