"""--network and what belongs to it, as NetworkingConfig (docker/cli container/opts.go, opts/network.go). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]
_DEFAULTS = ("default", "bridge")
_NOBODYS = (*_DEFAULTS, "host", "none")
"""Not made by a person."""
_FIELDS = ("name", "alias", "ip", "ip6", "mac-address", "link-local-ip", "driver-opt", "gw-priority")


class Own(NamedTuple):
    """The flags that are about the first network."""

    aliases: Sequence[str] = ()
    ip: str = ""
    ip6: str = ""
    mac: str = ""
    links: Sequence[str] = ()
    link_local: Sequence[str] = ()


def networking(networks: Sequence[str], own: Own) -> tuple[str, Json]:
    """NetworkMode and EndpointsConfig. Raises ValueError."""
    parsed = [_parse(text) for text in networks] or [("default", {})]
    names = [name for name, _ in parsed]
    if len(set(names)) < len(names):
        raise ValueError(
            f"network {next(name for name in names if names.count(name) > 1)!r} is specified twice"
        )
    first, settings = parsed[0]
    if any(endpoint.get("Aliases") for name, endpoint in parsed if name in _DEFAULTS) or (
        own.aliases and first in _NOBODYS
    ):
        raise ValueError("network-scoped aliases are only supported for user-defined networks")
    endpoints = dict(parsed[1:])
    if first in _DEFAULTS:  # links on it are HostConfig's alone
        own = own._replace(links=())
    merged = _merged(settings, own)
    if merged or endpoints:
        endpoints = {first: merged, **endpoints}
    return first, endpoints


def _parse(text: str) -> tuple[str, Json]:
    """``NAME``, ``name=NAME,alias=A,ip=…``, or as podman has it, ``NAME:alias=A,ip=…``."""
    if "=" not in text:
        return text, {}
    name, colon, words = text.partition(":")
    if not colon or "=" in name:  # a colon of an address
        name, words = "", text
    endpoint = _Endpoint()
    for word in words.split(","):
        key, equals, value = word.strip().partition("=")
        key = key.lower()
        if not equals or key not in _FIELDS:
            raise ValueError(f"invalid field {word!r} (there are {', '.join(_FIELDS)})")
        if key == "name":
            name = value
        else:
            endpoint.add(key, value)
    if not name:
        raise ValueError(f"network name is not specified in {text!r}")
    return name, endpoint.document


class _Endpoint:
    """EndpointSettings, field by field."""

    def __init__(self) -> None:
        self.document: Json = {}

    def add(self, key: str, value: str) -> None:
        match key:
            case "alias":
                self.document.setdefault("Aliases", []).append(value)
            case "mac-address":
                self.document["MacAddress"] = value
            case "gw-priority":
                self.document["GwPriority"] = _integer(value)
            case "driver-opt":
                name, _, option = value.partition("=")
                self.document.setdefault("DriverOpts", {})[name] = option
            case "ip" | "ip6":
                self._ipam()["IPv4Address" if key == "ip" else "IPv6Address"] = value
            case _:
                self._ipam().setdefault("LinkLocalIPs", []).append(value)

    def _ipam(self) -> Json:
        found: Json = self.document.setdefault("IPAMConfig", {})
        return found


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"invalid gw-priority: {text!r}") from None


def _merged(settings: Json, own: Own) -> Json:
    """A thing may be said in one way only."""
    endpoint = _Endpoint()
    endpoint.document = dict(settings)
    ipam = settings.get("IPAMConfig") or {}
    said = {
        "alias": (own.aliases, settings.get("Aliases")),
        "ip": ([own.ip] if own.ip else [], ipam.get("IPv4Address")),
        "ip6": ([own.ip6] if own.ip6 else [], ipam.get("IPv6Address")),
        "mac-address": ([own.mac] if own.mac else [], settings.get("MacAddress")),
        "link-local-ip": (own.link_local, ipam.get("LinkLocalIPs")),
    }
    for key, (values, before) in said.items():
        if values and before:
            raise ValueError(f"conflicting options: cannot specify both --{key} and per-network {key}")
        for value in values:
            endpoint.add(key, value)
    return endpoint.document | ({"Links": list(own.links)} if own.links else {})
