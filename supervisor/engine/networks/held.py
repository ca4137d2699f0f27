"""The keeper's entries that outlast an engine, and belong to no container (home.py, ownership.py)."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from pysup.store.networks import Network
from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.kernel import netns
from pysup.supervisor.spec.network import BRIDGE

HOME = "networks/home"
WAY_OUT = "networks/way-out"
OWNER = "networks/owner"
KEYS = (HOME, WAY_OUT, OWNER)
NAMESPACE = "net"
"""Of HOME: the descriptor of the network namespace."""


def has_bridges(link: Link, rows: Iterable[Network]) -> bool:
    """Whether a bridge is there of one of these networks."""
    if not netns.is_governed() and not link.held(HOME):
        return False
    namespace = None if netns.is_governed() else link.held(HOME)[NAMESPACE]
    there = {name for _, name in netns.run_inside(namespace, socket.if_nameindex)}
    return any(row.driver == BRIDGE and row.device in there for row in rows)


def adopt(link: Link) -> None:
    """Take over what an earlier engine has left: also what changes before boot belongs to this home and owner."""
    for entry in link.known():
        if entry.key in KEYS:
            link.adopt_held(entry)
