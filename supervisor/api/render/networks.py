"""The two networks that there are until networks come: none and host, as docker shows them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_IDS = {"none": "0" * 63 + "1", "host": "0" * 63 + "2"}
"""Not random as docker's are: they are the same two on every machine."""
NAMES = tuple(_IDS)


def network_mode(host_config: Json) -> str:
    """``none`` or ``host``."""
    return str(host_config.get("NetworkMode") or "none")


def endpoints(host_config: Json) -> Json:
    """NetworkSettings.Networks: one endpoint without addresses."""
    mode = network_mode(host_config)
    return {mode: _endpoint(_IDS.get(mode, ""))}


def _endpoint(network_id: str) -> Json:
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": "",
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": network_id,
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


def settings(host_config: Json) -> Json:
    """NetworkSettings of inspect."""
    return {
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "Ports": {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": "",
        "Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "MacAddress": "",
        "Networks": endpoints(host_config),
    }


def network(name: str, created: str) -> Json:
    """An entry of GET /networks. ``created``: when the daemon began (docker: when its store was made)."""
    return {
        "Name": name,
        "Id": _IDS[name],
        "Created": created,
        "Scope": "local",
        "Driver": "null" if name == "none" else "host",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": None},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }


def find(ref: str) -> str | None:
    """The name of the network with this name, or this unique prefix of its id."""
    if ref in _IDS:
        return ref
    found = [name for name, network_id in _IDS.items() if ref and network_id.startswith(ref)]
    return found[0] if len(found) == 1 else None
