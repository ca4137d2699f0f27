"""Secrets, and their use by containers. What is stored of a value is sealed: this package has no key.

Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.errors import Missing
from pysup.store.table import Table, encode


@dataclass(frozen=True, slots=True)
class Secret:
    """One row, without the value."""

    name: str
    created_at: int
    labels: dict[str, str]
    anonymous: bool
    """It was given to a container as it is, and goes with it."""


TABLE = Table("secret", Secret, {"labels": json.loads, "anonymous": bool})


def insert(
    conn: Connection,
    *,
    name: str,
    created_at: int,
    sealed: bytes,
    labels: Mapping[str, str] | None = None,
    anonymous: bool = False,
) -> None:
    """Add a secret. Raises sqlite3.IntegrityError if there is one of this name."""
    sql = "INSERT INTO secret (name, created_at, labels, anonymous, sealed) VALUES (?, ?, ?, ?, ?)"
    conn.execute(sql, (name, created_at, encode(dict(labels or {})), int(anonymous), sealed))


def get(conn: Connection, name: str) -> Secret | None:
    """The secret of this name."""
    return TABLE.one(conn, "WHERE name = ?", name)


def sealed(conn: Connection, name: str) -> bytes:
    """Its value, as it was sealed. Raises Missing."""
    found = conn.execute("SELECT sealed FROM secret WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise Missing(name)
    return bytes(found[0])


def list_secrets(conn: Connection) -> list[Secret]:
    """All secrets that somebody has named, by name."""
    return TABLE.many(conn, "WHERE anonymous = 0 ORDER BY name")


def delete(conn: Connection, name: str) -> bool:
    """Forget it; False if there is none. Raises sqlite3.IntegrityError while a container uses it."""
    return conn.execute("DELETE FROM secret WHERE name = ?", (name,)).rowcount > 0


# -- use -----------------------------------------------------------------------------------------------------


def use(conn: Connection, *, container_id: str, target: str, secret: str) -> None:
    """Note that a container, whose row is there, has a secret. Raises Missing if that is gone."""
    sql = "INSERT INTO secret_use (container_id, target, secret) VALUES (?, ?, ?)"
    try:
        conn.execute(sql, (container_id, target, secret))
    except sqlite3.IntegrityError:
        if get(conn, secret) is None:
            raise Missing(secret) from None
        raise


def users(conn: Connection, secret: str) -> list[str]:
    """The ids of the containers that have it."""
    sql = "SELECT DISTINCT container_id FROM secret_use WHERE secret = ? ORDER BY container_id"
    return [str(container_id) for (container_id,) in conn.execute(sql, (secret,))]


def release(conn: Connection, container_id: str) -> None:
    """Forget what a container uses, and with it the anonymous ones that nobody else does."""
    sql = "SELECT DISTINCT secret FROM secret_use WHERE container_id = ?"
    used = [str(secret) for (secret,) in conn.execute(sql, (container_id,))]
    conn.execute("DELETE FROM secret_use WHERE container_id = ?", (container_id,))
    for name in used:
        secret = get(conn, name)
        if secret is not None and secret.anonymous and not users(conn, name):
            delete(conn, name)
