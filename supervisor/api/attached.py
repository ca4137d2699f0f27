"""What containers have of networks, from the store: of one, or of all at once for a list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from sqlite3 import Connection

from pysup.store import endpoints
from pysup.supervisor.api.render.networks import Attached
from pysup.supervisor.engine.networks.places import all_places, places_of


def attached(conn: Connection, container_id: str) -> Attached:
    """One container's."""
    return Attached(places_of(conn, container_id), endpoints.ports(conn, container_id))


def all_attached(conn: Connection) -> Mapping[str, Attached]:
    """Every container's, by its id; one without networks has none."""
    ports = defaultdict(list)
    for port in endpoints.ports(conn):
        ports[port.container_id].append(port)
    found = {key: Attached(places, ports[key]) for key, places in all_places(conn).items()}
    return defaultdict(Attached, found)
