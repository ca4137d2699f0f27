"""Which program carries an ordinary user's packets (uplink.py). Light: the daemon's command asks, too."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

SLIRP, PASTA = "slirp4netns", "pasta"
EXIT, PROCESS = "uplink-exit", "uplink-process"
"""What is held as long as one carries: the other end of its pipe, or its pidfd."""
GATEWAY, _NAMES = 2, 3
"""Places in the subnet that slirp4netns keeps for itself: the gateway, and a name server that asks the host's."""
NAMES = "names"
"""What the second is called among a subnet's reserved addresses."""
_TUN = "/dev/net/tun"


def installed() -> str:
    """The path of one of them; empty: there is none."""
    return next(filter(None, map(shutil.which, (SLIRP, PASTA))), "")


def why_not() -> str:
    """What this machine lacks for it; empty: nothing."""
    if not installed():
        return "neither slirp4netns nor pasta (package passt) is installed"
    return "" if os.access(_TUN, os.R_OK | os.W_OK) else f"{_TUN} cannot be opened"


def names_of(subnet: IPv4Network) -> IPv4Address:
    """The name server that it plays."""
    return subnet[_NAMES]


def reserved_of(subnet: IPv4Network) -> dict[str, str]:
    """What no container can have beside the gateway's."""
    return {NAMES: str(names_of(subnet))}


def end(held: Mapping[str, int]) -> None:
    """To be called before the descriptors are closed, by which alone slirp4netns ends."""
    if PROCESS in held:
        signal.pidfd_send_signal(held[PROCESS], signal.SIGTERM)
