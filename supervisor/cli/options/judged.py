"""What docker's command line judges of run, create and build itself, and not the daemon (docker/cli opts).

So a wrong value is a wrong flag of all three, and nothing was sent. Each raises ValueError.
"""

from __future__ import annotations

import re
from typing import Any

from pysup.supervisor.cli.kinds import Kind, read_int

_DOMAIN = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.?", re.ASCII | re.IGNORECASE
)
_LETTER = re.compile(r"[a-z]", re.ASCII | re.IGNORECASE)
_MAC = re.compile(
    r"[0-9a-f]{2}(?P<sign>[:-])[0-9a-f]{2}(?:(?P=sign)[0-9a-f]{2}){4}", re.ASCII | re.IGNORECASE
)
_MOST_SWAPPINESS = 100
_USERNS = ("auto", "private", "host")
_LONGEST_DOMAIN = 255
_LINK_PARTS = 2


def read_address(text: str) -> str:
    """An IP address."""
    import ipaddress

    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"IP address is not correctly formatted: {text}") from None


def read_search(text: str) -> str:
    """A DNS domain; ``.`` alone: none."""
    domain = text.strip()
    fits = _DOMAIN.fullmatch(domain) and len(domain) < _LONGEST_DOMAIN and _LETTER.search(domain)
    if domain != "." and not fits:
        raise ValueError(f"{text} is not a valid domain")
    return domain


def read_extra_host(text: str) -> str:
    """``host:ip`` or ``host=ip``, which is the newer way to write it; as ``host:ip``."""
    sign = "=" if "=" in text else ":"
    name, found, address = text.partition(sign)
    if not found or not name:
        raise ValueError(f'bad format for add-host: "{text}"')
    address = address.removeprefix("[").removesuffix("]") if sign == "=" else address
    if address != "host-gateway":
        _check_host_address(address)
    return f"{name}:{address}"


def _check_host_address(address: str) -> None:
    try:
        read_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(f'invalid IP address in add-host: "{address}"') from None


def read_link(text: str) -> str:
    """``CONTAINER[:ALIAS]``."""
    if not text:
        raise ValueError("empty string specified for links")
    if len(text.split(":")) > _LINK_PARTS:
        raise ValueError(f"bad format for links: {text}")
    return text


def read_sysctl(text: str) -> str:
    """NAME=VALUE of one that a container can have of its own."""
    from pysup.supervisor.spec.namespaces import sysctl_space, with_dots

    name, equals, _ = text.partition("=")
    if not equals or not sysctl_space(with_dots(name)):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text


def read_ulimit(text: str) -> dict[str, Any]:
    """``nofile=1024:2048`` as the API takes it (github.com/docker/go-units ulimit.go)."""
    from pysup.supervisor.spec.limits import RLIMITS

    name, equals, bounds = text.partition("=")
    soft, colon, hard = bounds.partition(":")
    if not (name and equals and bounds):
        raise ValueError(f"invalid ulimit argument: {text}")
    if name.lower() not in RLIMITS:
        raise ValueError(f"invalid ulimit type: {name} (it is one of {', '.join(sorted(RLIMITS))})")
    low = read_int(soft)
    high = read_int(hard) if colon else low
    if high != -1 and (low > high or low == -1):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}")
    return {"Name": name, "Soft": low, "Hard": high}


def read_swappiness(text: str) -> int:
    """0 to 100; -1: not said."""
    number = read_int(text)
    if not -1 <= number <= _MOST_SWAPPINESS:
        raise ValueError(f"it is within 0 and {_MOST_SWAPPINESS}")
    return number


def read_userns(text: str) -> str:
    """What follows ``auto:`` the daemon judges."""
    kind, _, more = text.partition(":")
    if kind == "container" and not more:
        raise ValueError("it names no container")
    if text and text not in _USERNS and not (kind in {"auto", "container"} and more):
        raise ValueError(f"{text!r} is not supported yet (there are auto, private, host and container:NAME)")
    return text


def read_network(text: str) -> str:
    """A name or a list of fields: something."""
    if not text:
        raise ValueError("no name set for network")
    return text


def read_mac(text: str) -> str:
    """Empty: none is asked for."""
    if text and not _MAC.fullmatch(text):
        raise ValueError(f"{text} is not a valid mac address")
    return text


def read_tag(text: str) -> str:
    """A reference."""
    from pysup.supervisor.spec.reference import parse_reference

    parse_reference(text)
    return text


def read_volume(text: str) -> str:
    """Something; the rest is the daemon's to judge."""
    if not text:
        raise ValueError("invalid empty volume spec")
    return text


def read_own_namespace(text: str) -> str:
    """One that is the container's, the host's or another container's."""
    kind, _, name = text.partition(":")
    if text not in ("", "private", "host") and not (kind == "container" and name):
        raise ValueError("it is neither private, host nor container:NAME")
    return text


ADDRESS = Kind("list", read_address, many=True)
SEARCH = Kind("list", read_search, many=True)
EXTRA_HOST = Kind("list", read_extra_host, many=True)
LINK = Kind("list", read_link, many=True)
SYSCTL = Kind("map", read_sysctl, many=True)
NETWORK = Kind("network", read_network, many=True)
ULIMIT = Kind("ulimit", read_ulimit, many=True)
SWAPPINESS = Kind("int", read_swappiness, zero=0)
USERNS = Kind("string", read_userns)
TAG = Kind("list", read_tag, many=True)
MAC = Kind("string", read_mac)
VOLUME = Kind("list", read_volume, many=True)
NAMESPACE = Kind("string", read_own_namespace)
