"""What is told when something of the networks was taken away by somebody and made anew: in the log, and as an event."""

from __future__ import annotations

import logging
from functools import partial
from sqlite3 import Connection

from pysup.store import networks
from pysup.store.store import Store
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.news import Happening, NewsDesk

log = logging.getLogger(__name__)


class Repairs:
    """One for each daemon: events ``repair`` of networks, with an attribute ``what``."""

    def __init__(self, store: Store, news: NewsDesk) -> None:
        self._store = store
        self._news = news

    async def rules(self, network_ids: list[str], by: str) -> None:
        """Who deleted our rules, told of every network that has some."""
        log.warning("%s deleted rules of pysup: they are made anew", by)
        for network_id in network_ids:
            await self._tell(network_id, {"what": "rules", "by": by})

    async def forwarding(self, network_id: str, sysctl: str) -> None:
        """A sysctl without which a network leads nowhere."""
        log.warning("somebody switched %s off: it is on again", sysctl)
        await self._tell(network_id, {"what": "forwarding", "sysctl": sysctl})

    async def bridge(self, network_id: str) -> None:
        """A bridge, or its address."""
        log.warning("the bridge of network %s was deleted or changed: it is made anew", network_id[:12])
        await self._tell(network_id, {"what": "bridge"})

    async def _tell(self, network_id: str, told: dict[str, str]) -> None:
        await self._store.write(partial(_note, network_id=network_id, told=told))
        self._news.publish(Happening("network", network_id, "repair"))


def _note(conn: Connection, network_id: str, told: dict[str, str]) -> None:
    network = networks.get(conn, network_id)
    if network is not None:
        named = {"name": network.name, "type": network.driver}
        event_rows.note(conn, "network", "repair", network_id, {**named, **told})
