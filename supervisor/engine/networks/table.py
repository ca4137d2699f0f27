"""The one nftables table: what it has, as far as is known, and how it is made anew where that proves wrong.

What others take out of it is noticed by the kernel's refusal, or told (healing.py); then all of it is made in one
transaction, from the store.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

import trio

from pysup.store.networks import Network
from pysup.store.store import Store
from pysup.supervisor.engine.networks.descriptions import all_ruled, devices
from pysup.supervisor.engine.networks.forwarding import Forwarding
from pysup.supervisor.engine.networks.home import Home
from pysup.supervisor.engine.networks.ownership import WITHOUT_NETWORK
from pysup.supervisor.engine.networks.places import all_published
from pysup.supervisor.errors import Conflict, Unavailable
from pysup.supervisor.network import rules
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.hooks import droppers
from pysup.supervisor.network.inside import run_inside
from pysup.supervisor.network.kernel_parts import lacking
from pysup.supervisor.network.neighbours import neighbours
from pysup.supervisor.network.passing import chains_passed
from pysup.supervisor.network.probing import missing_rules
from pysup.supervisor.network.rules import Published, Ruled

log = logging.getLogger(__name__)

_MANY = 1000
"""Ports that were taken back, before it is asked which of them rows still tell of."""


class Table:
    """One for each daemon, in its home's network namespace. ``raised``: the ids of networks whose bridges are there.

    One at a time changes it: the fabric has its ``turn`` around ``add``, ``take_out`` and ``found``, the rest take it.
    """

    def __init__(
        self,
        store: Store,
        firewall: Firewall,
        forwarding: Forwarding,
        home: Home,
        raised: Callable[[], Iterable[str]],
    ) -> None:
        self.turn = trio.Lock()
        self._store = store
        self._firewall = firewall
        self._forwarding = forwarding
        self._home = home
        self._raised = raised
        self._founded = False
        """Whether the table is there and as it should be, as far as is known."""
        self._ruled: set[str] = set()
        """The networks that it rules, as far as is known; their containers may be yet to be looked at."""
        self._published: set[Published] = set()
        """What this engine has published; rows tell of it a little later."""
        self._withdrawn: set[Published] = set()
        """What it has taken back; rows may tell of it a little longer."""
        self._led: set[Published] = set()
        """What it leads, as far as is known."""
        self._spared: set[str] = set()
        """Bridges of other managers, of which it knows."""

    @property
    def founded(self) -> bool:
        """Whether it is known to be there, and as it should be."""
        return self._founded

    # -- networks --------------------------------------------------------------------------------------------

    def knows(self, network_id: str) -> bool:
        """Whether it rules a network, as far as is known."""
        return network_id in self._ruled

    async def add(self, network: Network, ruled: Ruled) -> None:
        """Rule a network. Raises Unavailable."""
        await self._apply(rules.add_network(ruled), f"rule network {network.name}")
        self._ruled.add(network.id)

    async def take_out(self, network: Network, ruled: Ruled) -> None:
        """Rule a network no longer; it does not matter if its rules are gone."""
        await self._forget(rules.remove_network(ruled), f"take back network {network.name}")
        self._ruled.discard(network.id)

    async def tidy(self) -> None:
        """Bring the table of an earlier engine to what there should be, if there is one. Raises as found()."""
        async with self.turn:
            if not self._founded and await self._strangers():
                await self.found()

    async def _strangers(self) -> str:
        """The chain that drops what others forward, as nft lists it; empty: there is no table."""
        try:
            return await self._firewall.apply(f"list chain {rules.TABLE} strangers", "look for the table")
        except Unavailable:
            return ""

    async def own(self, what: str) -> None:
        """Own the networks, to do ``what``. Another daemon had them before: what it guarded is guarded on.

        Raises Conflict: another daemon has them; Unavailable.
        """
        if not self._home.ownership.is_ours:
            with self._forwarding.claimed(rules.guarded_in(await self._strangers())):
                await self._home.ownership.take(what)

    # -- others ----------------------------------------------------------------------------------------------

    async def spare_neighbours(self) -> bool:
        """Leave other managers' bridges alone that have come meanwhile. Raises Unavailable."""
        async with self.turn:
            new = await self._neighbours() - self._spared
            if new and self._founded:
                await self._apply("\n".join(map(rules.spare, sorted(new))), "spare the bridges of others")
                self._spared |= new
        return bool(new)

    async def _neighbours(self) -> set[str]:
        own = await self._store.query(devices)
        there = await run_inside(self._home.namespace, socket.if_nameindex)
        return set(neighbours((name for _, name in there), own))

    async def warn_of_droppers(self, network: Network) -> None:
        """What another firewall drops stays dropped: no rule of ours can change that, so it is said.

        The network is there already, and works or not: that nobody can say so is told, and fails nothing.
        """
        try:
            passed = await chains_passed(self._firewall)
        except Unavailable as error:
            log.warning("cannot tell what other firewalls drop of network %s: %s", network.name, error)
            return
        for chain in droppers(passed, rules.TABLE):
            log.warning(
                "chain %s of table %s drops what is forwarded unless it accepts it: network %s works once it accepts "
                "%s (README, Networks)",
                chain.chain, chain.table, network.name, network.device,
            )  # fmt: skip

    # -- ports -----------------------------------------------------------------------------------------------

    async def publish(self, ports: Sequence[Published]) -> None:
        """Lead ports of the host into a container; a table that somebody flushed is made anew. Raises Unavailable."""
        if led := [port for port in ports if port.is_led]:
            async with self.turn:
                await self._apply(rules.publish(led), "publish ports")
                self._published.update(led)
                self._withdrawn.difference_update(led)
                self._led.update(led)

    async def unpublish(self, ports: Sequence[Published]) -> None:
        """Take them back: those that the table leads. It may have been made anew since a container ended."""
        if led := [port for port in ports if port.is_led]:
            async with self.turn:
                self._published.difference_update(led)
                self._withdrawn.update(led)
                there = self._led.intersection(led)
                self._led -= there
                if there or not self._founded:
                    await self._forget(rules.unpublish(sorted(there)), "take ports back")
                if len(self._withdrawn) > _MANY:
                    await self._rows()

    async def _rows(self) -> set[Published]:
        """What rows tell of; what was taken back and is no row any more need not be known."""
        rows = set(await self._store.query(all_published))
        self._withdrawn &= rows
        return rows

    # -- all of it -------------------------------------------------------------------------------------------

    async def found(self) -> None:
        """Make the table, in one transaction: all networks that are there or in use, and all ports.

        So no network is without its rules while an engine that has just begun looks at one container after the other.
        Raises Unavailable, Conflict: another daemon owns the networks.
        """
        self._founded = False
        await self.own("set up the firewall")
        ruled = await self._store.query(partial(all_ruled, known=tuple(self._raised())))
        ports = (self._published | await self._rows()) - self._withdrawn
        self._spared = await self._neighbours()
        guarded = sorted(self._forwarding.guarded)
        whole = rules.whole(ruled.values(), sorted(ports), guarded=guarded, spared=sorted(self._spared))
        try:
            await self._firewall.apply(whole, "set up the firewall")
        except Unavailable as error:
            missing = await missing_rules(self._firewall)
            cause = f"cannot set up the firewall: {lacking(missing)}" if missing else str(error)
            raise Unavailable(f"{cause}; {WITHOUT_NETWORK}") from error
        self._founded, self._led, self._ruled = True, ports, set(ruled)

    async def _apply(self, commands: str, what: str) -> None:
        """Add to the table; one that somebody flushed, or changed, is made anew. Raises Unavailable."""
        if self._founded:
            try:
                await self._firewall.apply(commands, what)
            except Unavailable as error:
                log.warning("%s; making the table anew", error)
            else:
                return
        await self.found()
        await self._firewall.apply(commands, what)

    async def _forget(self, commands: str, what: str) -> None:
        """Take something out of the table. One that is not known to have it is made anew, from the store, without it:
        that of an earlier engine, which somebody may have flushed since, or one that has proved to be another."""
        try:
            if self._founded:
                await self._firewall.apply(commands, what)
                return
        except Unavailable as error:
            log.warning("%s; making the table anew", error)
        try:
            with suppress(Conflict):  # it is another daemon's, and has nothing of ours
                await self.found()
        except Unavailable as error:
            log.warning("%s", error)
