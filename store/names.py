"""Names on networks: who is called so, among those that a container shares a network with."""

from __future__ import annotations

from sqlite3 import Connection

_SHARED = """
FROM lease l JOIN endpoint e ON e.id = l.endpoint_id
    JOIN container c ON c.id = e.container_id JOIN network n ON n.id = e.network_id
WHERE n.builtin = 0 AND c.state IN ('starting', 'running', 'paused', 'stopping')
    AND e.network_id IN (SELECT network_id FROM endpoint WHERE container_id = :asker)
"""
_ADDRESSES = f"""
WITH known AS (
    SELECT l.address, lower(n.name) AS network, lower(c.name) AS name, substr(c.id, 1, 12) AS id,
        lower(coalesce(json_extract(c.config, '$.Hostname'), '')) AS hostname, e.aliases
    {_SHARED}
)
SELECT DISTINCT address FROM known
WHERE :name IN (name, id, hostname, name || '.' || network, hostname || '.' || network)
    OR EXISTS (SELECT 1 FROM json_each(aliases) WHERE :name IN (lower(value), lower(value) || '.' || network))
"""  # noqa: S608 - our own words
_NAMES = f"SELECT c.name || '.' || n.name {_SHARED} AND l.address = :address ORDER BY 1"


def addresses_of(conn: Connection, asker: str, name: str) -> list[str]:
    """Addresses of a container's name, its alias, host name or short id, with or without ``.NETWORK`` behind it.

    ``asker``: the id of the container that asks; ``name``: in lower case.
    """
    found = conn.execute(_ADDRESSES, {"asker": asker, "name": name})
    return [address for (address,) in found]


def names_of(conn: Connection, asker: str, address: str) -> list[str]:
    """``web.mine``: who has the address."""
    found = conn.execute(_NAMES, {"asker": asker, "address": address})
    return [name for (name,) in found]
