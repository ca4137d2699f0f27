"""Why a port of the host answers, or does not: who has it, which rule leads it where, and which chains it passes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

import trio

from pysup.store import containers, endpoints
from pysup.supervisor.engine.networks.places import places_of, published
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import netns, nftables
from pysup.supervisor.network import rules
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.hooks import BaseChain
from pysup.supervisor.network.passing import chains_passed
from pysup.supervisor.network.rules import Published
from pysup.supervisor.runtime.listeners import Holder, holders_of


class Lead(NamedTuple):
    """A published port, and the rule that leads it into a container."""

    container: str
    network: str
    port: Published
    present: bool
    """Whether the kernel has the rule."""


class Explanation(NamedTuple):
    """All that is known of a port of the host."""

    leads: Sequence[Lead]
    holders: Sequence[Holder]
    """Processes with a socket that has the port."""
    chains: Sequence[BaseChain]
    carried: bool = False
    """From socket to socket, by the daemon of an ordinary user: no rule and no chain counts."""


async def explain_port(parts: Parts, firewall: Firewall, protocol: str, number: int) -> Explanation:
    """Raises Unavailable: nftables cannot be asked."""
    found = await parts.store.query(partial(_leads, protocol=protocol, number=number))
    if not netns.is_governed():
        holders = await trio.to_thread.run_sync(holders_of, protocol, number)
        return Explanation(found, holders, (), carried=True)
    leads = [lead._replace(present=await _is_there(firewall, lead.port)) for lead in found]
    holders = await trio.to_thread.run_sync(holders_of, protocol, number)
    chains = await chains_passed(firewall) if nftables.is_in_kernel() else []
    return Explanation(leads, holders, chains)


def _leads(conn: Connection, protocol: str, number: int) -> list[Lead]:
    found = []
    for row in endpoints.using_port(conn, protocol, number):
        container = containers.get(conn, row.container_id)
        places = places_of(conn, row.container_id)
        for port in published([row], places):
            network = next(
                place.network.name for place in places if port.address in _addresses(place.addresses)
            )
            found.append(Lead(container.name if container else "", network, port, present=False))
    return found


def _addresses(leases: Sequence[tuple[endpoints.Lease, object]]) -> list[str]:
    return [lease.address for lease, _ in leases]


async def _is_there(firewall: Firewall, port: Published) -> bool:
    """One that is carried needs none."""
    if not port.is_led:
        return True
    try:
        told = await firewall.apply(f"get element {rules.TABLE} {rules.element(port)}", "look a rule up")
    except Unavailable:
        return False
    return rules.target(port) in told
