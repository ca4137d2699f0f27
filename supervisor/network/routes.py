"""Where the host has routes to, which no subnet of ours may overlap: from /proc/net (proc(5)), with no import."""

from __future__ import annotations

import ipaddress
import struct

from pysup.supervisor.network.addresses import Network

_V4, _V6 = "/proc/self/net/route", "/proc/self/net/ipv6_route"
_LOOPBACK = "lo"


def routed(besides: str = "") -> list[Network]:
    """The networks that the host reaches other than by its default route, or by the interface ``besides``."""
    return [*read_v4(_text(_V4), besides), *read_v6(_text(_V6), besides)]


def leads_out6() -> bool:
    """Whether the host has a default route for IPv6."""
    rows = (line.split() for line in _text(_V6).splitlines())
    return any(not int(row[0], 16) and not int(row[1], 16) and row[-1] != _LOOPBACK for row in rows)


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:  # a kernel without this version of IP
        return ""


def read_v4(text: str, besides: str = "") -> list[Network]:
    """The lines of /proc/net/route behind the first: interface, destination, …, mask at the eighth place."""
    rows = [line.split() for line in text.splitlines()[1:]]
    found = [ipaddress.IPv4Network((_address(row[1]), _address(row[7]))) for row in rows if row[0] != besides]
    return [network for network in found if network.prefixlen]


def _address(digits: str) -> str:
    """Written as a number of the machine's byte order, whose bytes are in the network's."""
    return str(ipaddress.IPv4Address(struct.pack("=I", int(digits, 16))))


def read_v6(text: str, besides: str = "") -> list[Network]:
    """The lines of /proc/net/ipv6_route: destination and prefix length in hexadecimal, …, the interface last."""
    rows = [line.split() for line in text.splitlines()]
    found = [
        ipaddress.IPv6Network((int(row[0], 16), int(row[1], 16)))
        for row in rows
        if row[-1] not in (_LOOPBACK, besides)
    ]
    return [
        network for network in found if network.prefixlen and not network.is_link_local | network.is_multicast
    ]
