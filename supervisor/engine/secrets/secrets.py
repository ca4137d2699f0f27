"""Secrets as containers and the API use them: rows whose values are sealed. A value leaves by a memory file only.

A container's own (``--secret src=FILE``) comes into being with the container's row, and goes with it.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from sqlite3 import Connection

import trio

from pysup.store import containers, secrets
from pysup.store.secrets import Secret as Row
from pysup.store.store import Store
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.news import Happening, NewsDesk
from pysup.supervisor.engine.secrets.sealing import Seal
from pysup.supervisor.errors import BadRequest, Conflict, NotFound
from pysup.supervisor.kernel.files import sealed_memory_file
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.container import Secret
from pysup.supervisor.spec.secrets import Given, check_secret_name


class Secrets:
    """One for each daemon."""

    def __init__(self, store: Store, settings: Settings, news: NewsDesk) -> None:
        self._store = store
        self._news = news
        self._seal = Seal(settings.key_file, make=not settings.secret_key)
        self._turn = trio.Lock()

    def get(self, name: str) -> Row:
        """A secret's row. Raises NotFound."""
        row = secrets.get(self._store.read(), name)
        if row is None:
            raise NotFound(f"cannot find secret {name}: no such secret: {name}")
        return row

    async def create(self, name: str, value: bytes, labels: Mapping[str, str], caller: Caller) -> Row:
        """Keep a value under a name. Raises BadRequest, Conflict (the name), Unavailable (the key)."""
        check_secret_name(name)
        (sealed,) = await self.sealed([Given(name, value)])
        add = partial(_insert, name=name, sealed=sealed, labels=labels, caller=caller)
        await self._store.write(add)
        self._news.publish(Happening("secret", name, "create"))
        return self.get(name)

    async def remove(self, name: str, caller: Caller) -> None:
        """Remove a secret that no container uses. Raises Conflict, NotFound."""
        self.get(name)
        await self._store.write(partial(_delete, name=name, caller=caller))
        self._news.publish(Happening("secret", name, "remove"))

    async def sealed(self, given: Sequence[Given]) -> list[bytes]:
        """What is stored of values. Raises Unavailable."""
        if not given:
            return []
        async with self._turn:
            return await trio.to_thread.run_sync(lambda: [self._seal.close(*one) for one in given])

    async def values(self, wanted: Sequence[Secret]) -> bytes:
        """The values as the child's set-up reads them (keeper/steps/secrets.py). Raises Unavailable, NotFound."""
        conn = self._store.read()
        sealed = [(self.get(one.name).name, secrets.sealed(conn, one.name)) for one in wanted]
        values = await trio.to_thread.run_sync(lambda: [self._seal.open(*one) for one in sealed])
        return json.dumps([base64.b64encode(value).decode() for value in values]).encode()


@contextmanager
def as_file(values: bytes) -> Iterator[int]:
    """A descriptor of a file in memory."""
    with open(sealed_memory_file("pysup-secrets", values), "rb") as file:
        yield file.fileno()


# -- in the transaction --------------------------------------------------------------------------------------


def _insert(conn: Connection, name: str, sealed: bytes, labels: Mapping[str, str], caller: Caller) -> None:
    try:
        secrets.insert(conn, name=name, created_at=time.time_ns(), sealed=sealed, labels=labels)
    except sqlite3.IntegrityError:
        raise Conflict(f"cannot create secret {name}: there is one of this name") from None
    event_rows.note(conn, "secret", "create", name, {"name": name}, caller=caller)


def _delete(conn: Connection, name: str, caller: Caller) -> None:
    """The database itself refuses to forget a secret that is in use."""
    try:
        gone = secrets.delete(conn, name)
    except sqlite3.IntegrityError:
        users = ", ".join(_names(conn, secrets.users(conn, name)))
        raise Conflict(f"cannot remove secret {name}: it is in use by {users}") from None
    if gone:
        event_rows.note(conn, "secret", "remove", name, {"name": name}, caller=caller)


def _names(conn: Connection, ids: Sequence[str]) -> Iterator[str]:
    """``container web (1a2b…)``, as many as there are."""
    for row in filter(None, (containers.get(conn, one) for one in ids)):
        yield f"container {row.name} ({row.id[:12]})"


def note_secrets(
    conn: Connection,
    wanted: Sequence[Secret],
    given: Sequence[Given],
    sealed: Sequence[bytes],
    container_id: str,
) -> None:
    """In the transaction that makes the container's row. Raises BadRequest for a secret that is not there."""
    for one, value in zip(given, sealed, strict=True):
        secrets.insert(conn, name=one.name, created_at=time.time_ns(), sealed=value, anonymous=True)
    for secret in wanted:
        if secrets.get(conn, secret.name) is None:
            raise BadRequest(
                f"cannot create container: --secret {secret.name}: No such secret: {secret.name}"
            )
        secrets.use(conn, container_id=container_id, target=secret.target, secret=secret.name)
