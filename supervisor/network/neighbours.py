"""Bridges of other container managers, by their names: what they forward is theirs to decide, not ours. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAMES = re.compile(
    r"docker\d+|docker_gwbridge|br-[0-9a-f]{12}"  # docker, its swarm, its users' networks
    r"|podman\d+|cni\d+|cni-podman\d+"  # podman, with netavark and with CNI; kubernetes
    r"|virbr\d+|lxdbr\d+|incusbr\d+|lxcbr\d+"  # libvirt, LXD, Incus, LXC
)
BEGINNINGS = ("dock", "br-", "podm", "cni", "virb", "lxdb", "incu", "lxcb")
"""At most four characters, by which a filter in the kernel knows them (watching.py)."""


def neighbours(devices: Iterable[str], own: Iterable[str]) -> list[str]:
    """Those that are other managers' bridges; ``own``: ours, which may be called like docker's."""
    return sorted(name for name in set(devices).difference(own) if _NAMES.fullmatch(name))
