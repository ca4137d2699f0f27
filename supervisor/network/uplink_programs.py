"""Which program carries an ordinary user's packets (uplink.py), and where. Light: the daemon's command asks, too."""

from __future__ import annotations

import os
import shutil
from ipaddress import IPv4Network, IPv6Network

SLIRP, PASTA = "slirp4netns", "pasta"
_TUN = "/dev/net/tun"
SUBNETS = (IPv4Network("10.0.2.0/24"), IPv6Network("fd00::/64"))
"""Slirp4netns' own, in which rootless docker and podman have their containers, too."""
GATEWAY, _NAMES, OWN = 2, 3, 100
"""Places in them, as slirp4netns has them: the gateway, a name server that asks the host's, and this namespace."""
NAMES = str(SUBNETS[0][_NAMES])


def installed() -> str:
    """The path of one of them; empty: there is none."""
    return next(filter(None, map(shutil.which, (SLIRP, PASTA))), "")


def why_not() -> str:
    """What this machine lacks for it; empty: nothing."""
    if not installed():
        return "neither slirp4netns nor pasta (package passt) is installed"
    return "" if os.access(_TUN, os.R_OK | os.W_OK) else f"{_TUN} cannot be opened"
