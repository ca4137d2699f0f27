"""Names of containers for each other: read from the store at each question, so they are never out of date.

A container knows of those on its own networks, but not of those on the default one: as with docker.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import trio

from pysup.store import names as known_names
from pysup.store.store import Store
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.keeper.link import Link
from pysup.supervisor.network.firewall import Firewall

log = logging.getLogger(__name__)


def key_of(container_id: str) -> str:
    """The keeper's entry that holds a resolver's sockets."""
    return f"dns/{container_id}"


class Resolvers:
    """Those of all containers that are on networks of users; one for each run."""

    def __init__(self, store: Store, link: Link, nursery: trio.Nursery) -> None:
        self._store = store
        self._link = link
        self._nursery = nursery
        self._firewall = Firewall()
        self._scopes: dict[str, trio.CancelScope] = {}

    async def begin(self, container_id: str, namespace: int, servers: Sequence[str]) -> None:
        """Answer at 127.0.0.11 of a network namespace (a descriptor), or go on with other servers. Raises Unavailable.

        The keeper holds the sockets: what is asked while an engine is replaced waits for the next one.
        """
        resolver = await trio.to_thread.run_sync(importlib.import_module, "pysup.supervisor.network.resolver")
        if not self._link.held(key_of(container_id)):
            await self._bind(resolver, container_id, namespace)
        known = resolver.Names(partial(self._addresses, container_id), partial(self._names, container_id))
        sockets = resolver.sockets_of(self._link.held(key_of(container_id)))
        self._cancel(container_id)
        scope = self._scopes[container_id] = trio.CancelScope()
        self._nursery.start_soon(_serve, scope, resolver.Resolver(sockets, known, servers))

    async def _bind(self, resolver: Any, container_id: str, namespace: int) -> None:  # noqa: ANN401 - imported late
        try:
            sockets = resolver.bind(namespace)
        except OSError as error:
            raise Unavailable(f"cannot serve names at {resolver.ADDRESS}: {error.strerror}") from error
        try:
            await self._firewall.apply(
                resolver.rules(sockets), "lead questions for names", namespace=namespace
            )
        except BaseException:
            for one in sockets:
                one.close()
            raise
        await self._link.hold(
            key_of(container_id), {"udp": sockets.udp.detach(), "tcp": sockets.tcp.detach()}
        )

    async def end(self, container_id: str) -> None:
        """Answer no more; nothing happens if nobody did."""
        self._cancel(container_id)
        held = list(self._link.held(key_of(container_id)))
        if held:
            await self._link.release(key_of(container_id), held)

    def _cancel(self, container_id: str) -> None:
        with contextlib.suppress(KeyError):
            self._scopes.pop(container_id).cancel()

    def _addresses(self, container_id: str, name: str) -> Sequence[str]:
        return known_names.addresses_of(self._store.read(), container_id, name)

    def _names(self, container_id: str, address: str) -> Sequence[str]:
        return known_names.names_of(self._store.read(), container_id, address)


async def _serve(scope: trio.CancelScope, resolver: Any) -> None:  # noqa: ANN401 - imported late
    """One that fails must not end the daemon."""
    with scope:
        try:
            await resolver.serve()
        except Exception:
            log.exception("a container's resolver has ended")
