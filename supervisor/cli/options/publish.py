"""-p and --expose, as docker's command line reads them (github.com/docker/go-connections nat/parse.go). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Bindings = dict[str, list[dict[str, str]]]

_PROTOCOLS = ("tcp", "udp", "sctp")
_LAST = 65535
_LONG = ("mode", "protocol", "published", "target")


class Published(NamedTuple):
    """One port of the container."""

    port: str
    """``80/tcp``."""
    host_ip: str
    host_port: str
    """A port, a range of which one is taken, or empty: any."""


def bindings(texts: Iterable[str]) -> Bindings:
    """HostConfig.PortBindings of several -p. Raises ValueError."""
    found: Bindings = {}
    for text in texts:
        for one in parse(text):
            found.setdefault(one.port, []).append({"HostIp": one.host_ip, "HostPort": one.host_port})
    return found


def exposed(texts: Iterable[str], published: Bindings) -> dict[str, dict[str, Any]]:
    """ExposedPorts: what is published is exposed, too. Raises ValueError."""
    return {**{port: {} for port in published}, **{port: {} for text in texts for port in ports(text)}}


def ports(text: str) -> Iterator[str]:
    """``80``, ``80/udp`` or ``8000-8010`` as single ports."""
    numbers, protocol = _protocol(text)
    return (f"{port}/{protocol}" for port in _range(numbers, text))


def parse(text: str) -> Iterator[Published]:
    """``[IP:][HOST:]CONTAINER[/PROTOCOL]``, each port a number or a range; or ``target=80,published=8080,…``."""
    if "=" in text:
        text = _short(text)
    rest, protocol = _protocol(text)
    rest, _, inside = rest.rpartition(":")
    address, host = _host(rest, text)
    inner = _range(inside, text)
    if not host:
        return (Published(f"{port}/{protocol}", address, "") for port in inner)
    outer = _range(host, text)
    if len(inner) == 1 and len(outer) > 1:
        return iter([Published(f"{inner[0]}/{protocol}", address, host)])
    if len(inner) != len(outer):
        raise ValueError(f"invalid ranges specified for container and host Ports: {inside} and {host}")
    return (
        Published(f"{port}/{protocol}", address, str(one)) for port, one in zip(inner, outer, strict=True)
    )


def _short(text: str) -> str:
    """The long form in the short one."""
    given = dict(word.split("=", 1) for word in text.split(",") if "=" in word)
    for key in given:
        if key not in _LONG:
            raise ValueError(f"invalid field {key!r} (there are {', '.join(_LONG)})")
    if given.get("mode", "host") not in ("host", "ingress") or not given.get("target"):
        raise ValueError(f"invalid port format {text!r}")
    host = f"{given['published']}:" if given.get("published") else ""
    return f"{host}{given['target']}/{given.get('protocol', 'tcp')}"


def _protocol(text: str) -> tuple[str, str]:
    numbers, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    return numbers, protocol


def _host(rest: str, text: str) -> tuple[str, str]:
    """The address and the port before the container's; an IPv6 address is in brackets."""
    address, colon, port = rest.rpartition(":")
    if not colon:
        address, port = "", rest
    address = address.removeprefix("[").removesuffix("]")
    if address:
        import ipaddress  # 1.4 ms, and few publish for one address

        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ValueError(f"invalid IP address: {address} in {text!r}") from None
    return address, port


def _range(numbers: str, text: str) -> range:
    first, dash, last = numbers.partition("-")
    low = _port(first, text)
    high = _port(last, text) if dash else low
    if high < low:
        raise ValueError(f"invalid range specified for port: {numbers}")
    return range(low, high + 1)


def _port(number: str, text: str) -> int:
    if not number:
        raise ValueError(f"no port specified: {text}")
    if not (number.isascii() and number.isdigit()) or len(number) > len(str(_LAST)) or int(number) > _LAST:
        raise ValueError(f"invalid port: {number} in {text!r}")
    return int(number)
