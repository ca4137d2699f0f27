"""What ``pysup daemon`` is told of networks. What would only be found wrong at a container's start is refused here."""

from __future__ import annotations

import ipaddress

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.flags import Flag, Given, UsageError, many, switch, text
from pysup.supervisor.network.addresses import parse_pools
from pysup.supervisor.settings import Settings

_DEFAULT = Settings()
_LONGEST_DEVICE = 15
"""IFNAMSIZ - 1, netdevice(7)."""

FLAGS: tuple[Flag, ...] = (
    text(
        "bridge",
        "The default network's interface; none: no default network (also PYSUP_BRIDGE)",
        default=_DEFAULT.bridge,
    ),
    text("bip", "Address and subnet of the default network (e.g., 192.0.2.1/24)"),
    many("default-address-pool", "Where subnets of networks are taken from: base=CIDR,size=LENGTH"),
    text("publish-default", "The host's address of published ports that name none (default: all)"),
    switch(
        "ip-forward-no-drop",
        "Forward for everybody once forwarding is on for containers; else what was not forwarded before is dropped",
    ),
    many("dns", "Name servers of containers that name none"),
    Flag("mtu", kinds.INT, "MTU of the default network, bytes", default=_DEFAULT.mtu),
)
TEXTS = ("dns", "default-address-pool")
"""Flags that may be given several times, and are one text in the settings, with blanks between."""


def chosen(given: Given) -> dict[str, str]:
    """Settings from TEXTS. Raises UsageError, also for the other flags of networks."""
    try:
        _check(given)
        found = {"dns": " ".join(given.many("dns")), "address_pools": _pools(given)}
    except ValueError as error:
        raise UsageError(f"cannot parse the arguments: {error}") from None
    return {name: value for name, value in found.items() if value}


def _check(given: Given) -> None:
    if given.text("bip"):
        ipaddress.ip_interface(given.text("bip"))
    for address in (*given.many("dns"), *filter(None, [given.text("publish-default")])):
        ipaddress.ip_address(address)
    if len(given.text("bridge")) > _LONGEST_DEVICE:
        raise ValueError(
            f"--bridge {given.text('bridge')}: the name of an interface has at most 15 characters"
        )


def _pools(given: Given) -> str:
    """``base=10.10.0.0/16,size=24`` as ``10.10.0.0/16,24``."""
    words = []
    for one in given.many("default-address-pool"):
        fields = dict(word.partition("=")[::2] for word in one.split(","))
        if set(fields) != {"base", "size"}:
            raise ValueError(f"--default-address-pool {one!r} is not base=CIDR,size=LENGTH")
        words.append(f"{fields['base']},{fields['size']}")
    if words:
        parse_pools(" ".join(words))
    return " ".join(words)
