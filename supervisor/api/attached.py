"""What containers have of networks, from the store: of one, or of all at once for a list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from sqlite3 import Connection

from pysup.store import containers, endpoints
from pysup.supervisor.api.render.networks import Attached
from pysup.supervisor.engine.networks.links import names_by_links
from pysup.supervisor.engine.networks.links import told as links_told
from pysup.supervisor.engine.networks.places import all_places, places_of


def attached(conn: Connection, container_id: str) -> Attached:
    """One container's."""
    places = places_of(conn, container_id)
    row = containers.get(conn, container_id)
    links = links_told(conn, row.name, places) if row is not None else ()
    return Attached(places, endpoints.ports(conn, container_id), links=links)


def all_attached(conn: Connection) -> Mapping[str, Attached]:
    """Every container's, by its id; one without networks has none."""
    ports = defaultdict(list)
    for port in endpoints.ports(conn):
        ports[port.container_id].append(port)
    places = all_places(conn)
    called = names_by_links(conn, places)
    found = {key: Attached(own, ports[key], called.get(key, ())) for key, own in places.items()}
    return defaultdict(Attached, found)
