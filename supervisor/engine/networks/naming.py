"""Names of containers for each other: what each network calls whom, and a resolver in each container's network.

On networks of users containers find each other by name; on the default one they do not, as with docker. The keeper
holds the resolvers' sockets: what is asked while an engine is replaced waits for the next one.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import socket
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any

import trio

from pysup.store.containers import Container
from pysup.supervisor.engine.networks.places import Place
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.names.resolv_conf import ResolvConf
from pysup.supervisor.network.names.sockets import Sockets, open_sockets
from pysup.supervisor.network.names.upstreams import upstreams_of
from pysup.supervisor.network.names.zone import Member, Table, Zone
from pysup.supervisor.spec.joining import links_of

log = logging.getLogger(__name__)

_SERVER = "pysup.supervisor.network.names.server"
_SHORT_ID = 12
_NAMESPACE, _UDP, _TCP = "net", "udp", "tcp"


def key_of(container_id: str) -> str:
    """The keeper's entry that holds a resolver's sockets, and the network namespace that they are in."""
    return f"dns/{container_id}"


class Naming:
    """One for each daemon. A container's row is looked at when it joins, and when it changes."""

    def __init__(self, link: Link, nursery: trio.Nursery, firewall: Firewall) -> None:
        self._link = link
        self._nursery = nursery
        self._firewall = firewall
        self._tables: dict[str, Table] = {}
        self._members: dict[str, list[tuple[Table, str, Member]]] = {}
        self._links: dict[str, dict[str, str]] = {}
        self._resolvers: dict[str, trio.CancelScope] = {}

    # -- who is called how -----------------------------------------------------------------------------------

    def join(self, row: Container, places: Sequence[Place]) -> None:
        """From now on, this is where the container is, and what it is called there."""
        self._leave(row.id)
        hostname = str(json.loads(row.config).get("Hostname") or "")
        for place in named(places):
            table = self._tables.setdefault(place.network.id, Table(place.network.name))
            addresses = tuple(ip_address(lease.address) for lease, _ in place.addresses)
            member = Member(row.name, row.id[:_SHORT_ID], addresses, hostname, place.endpoint.aliases)
            table.add(place.endpoint.id, member)
            self._members.setdefault(row.id, []).append((table, place.endpoint.id, member))
            links = {alias.lower(): container for container, alias in links_of(place.endpoint.asked)}
            self._links.setdefault(row.id, {}).update(links)

    def _leave(self, container_id: str) -> None:
        self._links.pop(container_id, None)
        for table, endpoint_id, member in self._members.pop(container_id, ()):
            table.remove(endpoint_id, member)

    def _zone(self, container_id: str) -> Zone:
        tables = tuple(table for table, _, _ in self._members.get(container_id, ()))
        return Zone(tables, self._links.get(container_id, {}))

    # -- the container's resolver ----------------------------------------------------------------------------

    async def serve(self, row: Container, namespace: int, conf: ResolvConf, *, outside: bool) -> None:
        """Answer at 127.0.0.11 of a network namespace (a descriptor), or go on with other servers.

        ``outside``: other names are asked for. Raises Unavailable.
        """
        server = await trio.to_thread.run_sync(importlib.import_module, _SERVER)  # dnspython: 0.15 s, once
        key = key_of(row.id)
        if not self._link.held(key):
            await self._open(row, namespace)
        held = self._link.held(key)
        upstreams = upstreams_of(conf, held[_NAMESPACE], outside=outside)
        self._stop(row.id)
        scope = self._resolvers[row.id] = trio.CancelScope()
        sockets = Sockets(*(socket.socket(fileno=os.dup(held[name])) for name in (_UDP, _TCP)))
        serving = partial(server.serve, sockets, partial(self._zone, row.id), lambda: upstreams)
        self._nursery.start_soon(_within, scope, serving)

    async def _open(self, row: Container, namespace: int) -> None:
        try:
            udp, tcp = await open_sockets(self._firewall, namespace, row.name)
        except OSError as error:
            raise Unavailable(f"cannot serve names to container {row.name}: {error.strerror}") from error
        held = {_UDP: udp.detach(), _TCP: tcp.detach(), _NAMESPACE: os.dup(namespace)}
        await self._link.hold(key_of(row.id), held)

    def _stop(self, container_id: str) -> None:
        scope = self._resolvers.pop(container_id, None)
        if scope is not None:
            scope.cancel()

    async def end(self, container_id: str) -> None:
        """It is called nothing any more, and asks nothing; nothing happens if that is so."""
        self._leave(container_id)
        self._stop(container_id)
        held = list(self._link.held(key_of(container_id)))
        if held:
            await self._link.release(key_of(container_id), held)


def named(places: Sequence[Place]) -> list[Place]:
    """Those where containers find each other by name."""
    return [place for place in places if not place.network.builtin]


async def _within(scope: trio.CancelScope, serving: Any) -> None:  # noqa: ANN401 - imported late
    """A resolver that fails must not end the daemon."""
    with scope:
        try:
            await serving()
        except Exception:
            log.exception("a container's resolver has ended")
