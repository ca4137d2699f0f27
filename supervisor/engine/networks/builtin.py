"""The networks that are always there; the default one is as the daemon's flags have it each time it starts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from ipaddress import ip_address, ip_interface
from sqlite3 import Connection
from typing import NamedTuple

from pysup.store import networks
from pysup.store.networks import Network as Row
from pysup.supervisor.engine.networks.subnetting import give_subnets
from pysup.supervisor.kernel import netns
from pysup.supervisor.network.addresses import IPV4, Network
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.network import BRIDGE
from pysup.supervisor.spec.networks import MTU, Options, WantedSubnet, default_options

NO_BRIDGE = "none"
"""--bridge none: there is no default network."""
_IDS = {
    name: hashlib.sha256(f"pysup network {name}".encode()).hexdigest() for name in ("none", "host", BRIDGE)
}
"""Not random as docker's are: they are the same on every machine."""
_DRIVERS = {"none": "null", "host": "host", BRIDGE: "bridge"}


def missing(conn: Connection, settings: Settings) -> list[str]:
    """The names of those that have no row yet."""
    wanted = (name for name in _IDS if name != BRIDGE or settings.bridge != NO_BRIDGE)
    return [name for name in wanted if networks.by_name(conn, name) is None]


def add(
    conn: Connection, names: Sequence[str], settings: Settings, *, occupied: Sequence[Network], now_ns: int
) -> None:
    """Their rows. Raises Conflict: --bip is where something else is, or no subnet is left."""
    for name in names:
        is_default = name == BRIDGE
        row = Row(
            id=_IDS[name],
            name=name,
            driver=_DRIVERS[name],
            device=settings.bridge if is_default else "",
            builtin=True,
            internal=False,
            ipv4=True,
            ipv6=False,
            options=_options(settings) if is_default else {},
            labels={},
            document={},
            created_at=now_ns,
        )
        networks.insert(conn, row)
        if is_default:
            give_subnets(conn, row, _subnets(settings), pools=settings.address_pools, occupied=occupied)


class Change(NamedTuple):
    """What the flags have changed of the default network since the last daemon."""

    row: Row
    """As it was."""
    options: dict[str, str]
    subnets: tuple[WantedSubnet, ...]
    """In place of those that it has; none: they stay."""
    rebuilt: bool
    """Whether the bridge is another one, or is made otherwise."""


def change(conn: Connection, settings: Settings) -> Change | None:
    """None: there is no default network, or it is as it should be. What somebody keeps by no flag stays as it is."""
    row = networks.by_name(conn, BRIDGE)
    if row is None or settings.bridge == NO_BRIDGE:
        return None
    options = _options(settings)
    had = {(one.subnet, one.gateway) for one in networks.subnets(conn, row.id)}
    subnets = tuple(
        one for one in _subnets(settings) if (str(one.subnet), str(one.chosen_gateway)) not in had
    )
    rebuilt = bool(subnets) or row.device != settings.bridge or _mtu(row.options) != _mtu(options)
    return Change(row, options, subnets, rebuilt) if rebuilt or row.options != options else None


def apply(conn: Connection, wanted: Change, settings: Settings, *, occupied: Sequence[Network]) -> None:
    """The rows; with another subnet containers get other addresses when they start. Raises Conflict."""
    row = wanted.row
    networks.change(conn, row.id, device=settings.bridge, options=wanted.options)
    if wanted.subnets:
        networks.delete_subnets(conn, row.id)
        give_subnets(conn, row, wanted.subnets, pools=settings.address_pools, occupied=occupied)


def _options(settings: Settings) -> dict[str, str]:
    """The size of packets is said by root alone: without it the program that carries them decides (home.py)."""
    mtu = settings.mtu or (MTU if netns.is_governed() else 0)
    return default_options(settings.bridge, mtu, _published_on(settings))


def _published_on(settings: Settings) -> str:
    chosen = settings.publish_default
    return chosen if chosen and ip_address(chosen).version == IPV4 else ""


def _subnets(settings: Settings) -> tuple[WantedSubnet, ...]:
    return (bip(settings.bip),) if settings.bip else ()


def _mtu(options: dict[str, str]) -> int:
    return Options(options).mtu or MTU


def bip(text: str) -> WantedSubnet:
    """--bip: the address of the default bridge, and with it the subnet. Raises ValueError."""
    interface = ip_interface(text)
    return WantedSubnet(interface.network, None, interface.ip)
