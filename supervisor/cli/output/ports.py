"""How commands show ports; in ``ps`` those in a row are one range, as in docker's. Pure.

Source: docker/cli cli/command/formatter/container.go, DisplayablePorts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class _Kind(NamedTuple):
    """What the ports of one range have in common."""

    address: str
    """The host's; empty: they are exposed only."""
    protocol: str


def displayed(ports: Iterable[Mapping[str, Any]]) -> str:
    """``0.0.0.0:8000-8010->8000-8010/tcp, 53/udp``: ranges, then ports that are another number on the host."""
    last: dict[_Kind, range] = {}
    closed, moved = [], []
    for port in sorted(ports, key=_order):
        number, kind = port["PrivatePort"], _Kind(port.get("IP") or "", port["Type"])
        if kind.address and port["PublicPort"] != number:
            moved.append(f"{host_port(kind.address, port['PublicPort'])}->{number}/{kind.protocol}")
            continue
        found = last.get(kind)
        if found is not None and number == found.stop:
            last[kind] = range(found.start, number + 1)
            continue
        if found is not None:
            closed.append(_range(kind, found))
        last[kind] = range(number, number + 1)
    return ", ".join((*closed, *(_range(kind, found) for kind, found in last.items()), *moved))


def _order(port: Mapping[str, Any]) -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP") or "", port.get("PublicPort") or 0, port["Type"]


def _range(kind: _Kind, found: range) -> str:
    numbers = str(found.start) if len(found) == 1 else f"{found.start}-{found.stop - 1}"
    place = f"{host_port(kind.address, numbers)}->" if kind.address else ""
    return f"{place}{numbers}/{kind.protocol}"


def host_port(address: str, port: object) -> str:
    """``0.0.0.0:80``, ``[::]:80``; the port may be a range."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
