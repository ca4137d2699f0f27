"""The network namespace that the bridges are in: the daemon's own, or, for an ordinary user, one that it has made.

That one, and the pipe by which its way out ends (network/uplink.py), are held by the keeper: both last as long as the
daemon. Whether there is a way out is asked of the kernel, never remembered. To be imported in a thread, and late.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial

import trio

from pysup.supervisor.engine.networks.held import HOME, NAMESPACE, WAY_OUT
from pysup.supervisor.engine.networks.ownership import Ownership
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.kernel import netns
from pysup.supervisor.network import uplink
from pysup.supervisor.network.inside import run_inside
from pysup.supervisor.settings import Settings

log = logging.getLogger(__name__)

_EXIT = "exit"


class Home:
    """One for each daemon."""

    def __init__(self, link: Link, namespace: int | None, settings: Settings) -> None:
        """``namespace``: a descriptor that is held; None: the daemon's own."""
        self.namespace = namespace
        self.ownership = Ownership(link, namespace, settings.root)
        self.mtu = 0 if namespace is None else uplink.MTU
        """Of interfaces whose network does not say; 0: the kernel's default."""
        self._link = link
        self._path = settings.network_path
        """See uplink.begin()."""
        self._index = 0
        """The number of the way out's interface, if one was needed."""
        self._lost = False
        """Whether that has gone, and there is no other one yet."""
        self._turn = trio.Lock()

    async def lead_out(self) -> None:
        """See that there is a way out. Raises Unavailable."""
        if self.namespace is not None:
            async with self._turn:
                try:
                    self._index = await self._found() or await self._begin(self.namespace)
                except OSError as error:
                    raise Unavailable(f"{uplink.CANNOT}: {error}") from error

    async def _found(self) -> int:
        with suppress(OSError):
            return await run_inside(self.namespace, partial(socket.if_nametoindex, uplink.DEVICE))
        return 0

    async def _begin(self, namespace: int) -> int:
        """A program that somebody has ended leaves its entry; one that nobody comes to hold ends."""
        await self._link.release(WAY_OUT, list(self._link.held(WAY_OUT)))
        exit_fd = await uplink.begin(namespace, self._path)
        try:
            await self._link.hold(WAY_OUT, {_EXIT: exit_fd})
        except BaseException:
            os.close(exit_fd)
            raise
        return await self._found()

    async def restore(self, touched: AbstractSet[int] | None) -> bool:
        """See to the way out if its interface is among these that went (None: all are), or if that failed before.

        Raises Unavailable.
        """
        went = bool(self._index) and (touched is None or self._index in touched)
        self._lost = (self._lost or went) and not await self._found()
        if not self._lost:
            return False
        await self.lead_out()
        self._lost = False
        log.warning("the program that leads networks out had ended: there is another one")
        return True


async def find_home(link: Link, settings: Settings) -> Home:
    """The daemon's; it is made if need be. What an engine has left at its path goes. Raises OSError."""
    if netns.is_governed():
        return Home(link, None, settings)
    uplink.clear(settings.network_path)
    if not link.held(HOME):
        await link.hold(HOME, {NAMESPACE: await trio.to_thread.run_sync(netns.new_namespace)})
    return Home(link, link.held(HOME)[NAMESPACE], settings)
