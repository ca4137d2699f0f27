"""Networks, who is on them, which address and which port is whose.

A lease is a row with a primary key of network and address: two endpoints can never have one address. Endpoints
go with their container, leases with their endpoint; a trigger does it for a removed container whose row stays
for its history. A port of the host belongs to one container at a time as long as that container is not at rest:
the same triggers give it back in the transaction in which the container comes to rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0002_networks"

NETWORK = """
CREATE TABLE network (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 64),
    name TEXT NOT NULL UNIQUE CHECK (name <> ''),
    driver TEXT NOT NULL CHECK (driver IN ('bridge', 'macvlan', 'host', 'null')),
    device TEXT NOT NULL DEFAULT '',
    builtin INTEGER NOT NULL DEFAULT 0 CHECK (builtin IN (0, 1)),
    internal INTEGER NOT NULL DEFAULT 0 CHECK (internal IN (0, 1)),
    ipv4 INTEGER NOT NULL DEFAULT 1 CHECK (ipv4 IN (0, 1)),
    ipv6 INTEGER NOT NULL DEFAULT 0 CHECK (ipv6 IN (0, 1)),
    options TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(options)),
    labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)),
    document TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(document)),
    created_at INTEGER NOT NULL
) STRICT
"""

SUBNET = """
CREATE TABLE subnet (
    network_id TEXT NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    subnet TEXT NOT NULL,
    ip_range TEXT NOT NULL DEFAULT '',
    gateway TEXT NOT NULL DEFAULT '',
    reserved TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(reserved)),
    last TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (network_id, subnet)
) STRICT, WITHOUT ROWID
"""

ENDPOINT = """
CREATE TABLE endpoint (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 64),
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    network_id TEXT NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    mac TEXT NOT NULL,
    device TEXT NOT NULL DEFAULT '',
    asked TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(asked)),
    aliases TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(aliases)),
    created_at INTEGER NOT NULL,
    UNIQUE (container_id, network_id),
    UNIQUE (id, network_id)
) STRICT
"""

LEASE = """
CREATE TABLE lease (
    network_id TEXT NOT NULL,
    address TEXT NOT NULL,
    subnet TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    asked INTEGER NOT NULL DEFAULT 0 CHECK (asked IN (0, 1)),
    PRIMARY KEY (network_id, address),
    FOREIGN KEY (endpoint_id, network_id) REFERENCES endpoint (id, network_id) ON DELETE CASCADE,
    FOREIGN KEY (network_id, subnet) REFERENCES subnet (network_id, subnet) ON DELETE CASCADE
) STRICT, WITHOUT ROWID
"""

PORT = """
CREATE TABLE port (
    id INTEGER PRIMARY KEY,
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    protocol TEXT NOT NULL CHECK (protocol IN ('tcp', 'udp', 'sctp')),
    host_ip TEXT NOT NULL,
    host_port INTEGER NOT NULL CHECK (host_port BETWEEN 1 AND 65535),
    container_port INTEGER NOT NULL CHECK (container_port BETWEEN 1 AND 65535),
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT
"""

REST = """
CREATE TRIGGER ports_of_resting AFTER UPDATE OF state ON container
WHEN NEW.state IN ('exited', 'backoff') AND OLD.state <> NEW.state
BEGIN
    UPDATE port SET active = 0 WHERE container_id = NEW.id AND active = 1;
END
"""

REMOVED = """
CREATE TRIGGER endpoints_of_removed AFTER UPDATE OF state ON container WHEN NEW.state = 'removed'
BEGIN
    DELETE FROM endpoint WHERE container_id = NEW.id;
    DELETE FROM port WHERE container_id = NEW.id;
END
"""

INDEXES = (
    "CREATE INDEX endpoint_network ON endpoint (network_id)",
    "CREATE INDEX lease_endpoint ON lease (endpoint_id)",
    "CREATE INDEX port_container ON port (container_id)",
    "CREATE UNIQUE INDEX port_active ON port (protocol, host_port, host_ip) WHERE active = 1",
)


def apply(db: Database) -> None:
    """Create the tables, triggers and indexes."""
    for statement in (NETWORK, SUBNET, ENDPOINT, LEASE, PORT, REST, REMOVED, *INDEXES):
        db.execute(statement)
