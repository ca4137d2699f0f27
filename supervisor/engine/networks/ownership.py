"""One daemon owns the networks of a network namespace: the nftables table, the bridges, and the machine's forwarding.

Two would undo each other's work for ever. Who needs them first has them until it ends (network/owner.py); the keeper
holds the socket, so an engine that is killed and an upgrade lose nothing. Everybody else works without bridges, and has
them at the next need once the owner has ended.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from pysup.supervisor.engine.networks.claimants import Claimant, comment_of, describe
from pysup.supervisor.engine.networks.held import OWNER
from pysup.supervisor.errors import Conflict, Unavailable
from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.kernel import netns
from pysup.supervisor.kernel.features import Feature
from pysup.supervisor.network import owner

log = logging.getLogger(__name__)

T = TypeVar("T")

WITHOUT_NETWORK = "--network none and host work without it"
_SOCKET = "socket"
_NO_NFTABLES = {errno.EPROTONOSUPPORT, errno.EOPNOTSUPP}
"""There is no nfnetlink, or no nf_tables."""


class Ownership:
    """One for each daemon."""

    def __init__(self, link: Link, home: int | None, root: str) -> None:
        """``home``: a descriptor of the network namespace; None: the daemon's own. ``root``: what others are told."""
        self._link = link
        self._home = home
        self._root = root
        self._told = ""
        """Which owner the log knows of."""

    @property
    def is_ours(self) -> bool:
        """Whether this daemon owns the networks."""
        return bool(self._link.held(OWNER))

    async def take(self, what: str) -> None:
        """Own the networks from now on; ``what`` is to be done with them, for the error. One at a time takes them.

        Raises Conflict: somebody else owns them; Unavailable. Where the kernel has no nftables there is nothing to be
        owned: whoever sets rules is told.
        """
        if self.is_ours:
            return
        try:
            sock = await self._claimed(what)
        except OSError as error:
            if error.errno in _NO_NFTABLES:
                return
            raise Unavailable(f"cannot {what}: nftables: {error.strerror}; {WITHOUT_NETWORK}") from error
        await self._link.hold(OWNER, {_SOCKET: sock.detach()})
        if self._told:
            log.info("the networks of this network namespace are this daemon's now")
            self._told = ""

    async def _claimed(self, what: str) -> socket.socket:
        """Raises Conflict, OSError."""
        claim = partial(owner.claim, comment_of(self._root))
        try:
            return await self._at_home(claim)
        except PermissionError:
            if other := await self.other():
                raise self._refusal(what, other) from None
        return await self._at_home(claim)  # it has ended meanwhile, or the daemon has no power over rules

    def _refusal(self, what: str, other: Claimant) -> Conflict:
        cause = f"{other.told}; {other.cure}; {WITHOUT_NETWORK}"
        if self._told != other.told:
            log.warning("no networks: %s", cause)
            self._told = other.told
        return Conflict(f"cannot {what}: {cause}")

    async def other(self) -> Claimant | None:
        """Who else owns them, if anybody does."""
        try:
            found = None if self.is_ours else await self._at_home(owner.owner)
        except OSError:  # there is no nftables, or no power over it
            return None
        return None if found is None else await trio.to_thread.run_sync(describe, found)

    async def _at_home(self, call: Callable[[], T]) -> T:
        """The kernel may load a module."""
        return await trio.to_thread.run_sync(partial(netns.run_inside, self._home, call))


async def feature(link: Link) -> Feature:
    """Whether this daemon has networks, or can have them: ``pysup info``."""
    ownership = Ownership(link, None, "")
    # Where an ordinary user's networks are, nobody else comes.
    other = await ownership.other() if netns.is_governed() else None
    if other:
        cost = f"no network but host, none and container:NAME: {other.told}"
        return Feature(present=False, detail="", cost=cost)
    return Feature(present=True, detail="this daemon's" if ownership.is_ours else "nobody's yet", cost="")
