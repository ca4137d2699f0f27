"""A resolver's sockets, in a container's network namespace.

They are bound to ports that the kernel chooses, and rules lead port 53 of 127.0.0.11 to those, as with docker: a
name server that runs in the container can have port 53 of every address.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

import trio

from pysup.supervisor.kernel import net, netns
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.names.resolv_conf import RESOLVER

TABLE = "ip pysup_names"
PORT = 53
_BACKLOG = 64


class Sockets(NamedTuple):
    """Bound; whoever has them closes them. They keep the network namespace in being."""

    udp: socket.socket
    tcp: socket.socket

    def close(self) -> None:
        """Close both."""
        self.udp.close()
        self.tcp.close()


async def open_sockets(firewall: Firewall, namespace: int, container: str) -> Sockets:
    """Make them in the namespace of this descriptor, and the rules.

    Whatever rules an engine before has left there are replaced. Raises OSError, Unavailable; nothing is left open.
    """
    sockets = await trio.to_thread.run_sync(_bound_inside, namespace)
    try:
        what = f"lead port {PORT} of {RESOLVER} in container {container} to its resolver"
        await firewall.apply(rules(*ports(sockets)), what, namespace=namespace)
    except BaseException:
        sockets.close()
        raise
    return sockets


def ports(sockets: Sockets) -> tuple[int, int]:
    """Where they are bound: UDP, TCP."""
    udp, tcp = (sock.getsockname()[1] for sock in sockets)
    return udp, tcp


def _bound_inside(namespace: int) -> Sockets:
    """The child inside may not have come so far as to bring lo up."""
    return netns.run_inside(namespace, _bound)


def _bound() -> Sockets:
    net.loopback_up()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.bind((RESOLVER, 0))
        return Sockets(udp, socket.create_server((RESOLVER, 0), backlog=_BACKLOG))
    except BaseException:
        udp.close()
        raise


def rules(udp: int, tcp: int) -> str:
    """For libnftables, one transaction: these, whatever was there. Replies find their way by connection tracking.

    A table that is deleted to be made anew would take 11 ms where there was none, instead of half a one.
    """
    rule = f"add rule {TABLE} output ip daddr {RESOLVER}"
    return f"""\
add table {TABLE}
add chain {TABLE} output {{ type nat hook output priority -100; }}
flush chain {TABLE} output
{rule} udp dport {PORT} dnat to {RESOLVER}:{udp}
{rule} tcp dport {PORT} dnat to {RESOLVER}:{tcp}
"""
