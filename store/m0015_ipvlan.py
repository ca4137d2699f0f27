"""A network may be one of ipvlans.

SQLite cannot change a CHECK: the table is made anew with its rows (lang_altertable, 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0015_ipvlan"

NETWORK = """
CREATE TABLE new_network (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 64),
    name TEXT NOT NULL UNIQUE CHECK (name <> ''),
    driver TEXT NOT NULL CHECK (driver IN ('bridge', 'macvlan', 'ipvlan', 'host', 'null')),
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

_STEPS = (
    NETWORK,
    "INSERT INTO new_network SELECT * FROM network",
    "DROP TABLE network",
    "ALTER TABLE new_network RENAME TO network",
)


def apply(db: Database) -> None:
    """All rows as they are; those that refer to them stay (migrations.py)."""
    for statement in _STEPS:
        db.execute(statement)
