"""Volumes as containers and the API use them: rows in the store, content in directories.

Making and removing take turns, so that a directory is never made and thrown away at once. The directory is there
before the row and goes after it: what a crash leaves is a directory without a row, which the next start removes.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

import trio

from pysup.store import containers, volumes
from pysup.store.store import Store
from pysup.store.volumes import Volume as Row
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers.sizes import tree_sizes
from pysup.supervisor.engine.news import Happening, NewsDesk
from pysup.supervisor.engine.trash import Trash
from pysup.supervisor.errors import Conflict, NotFound, Unavailable
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.container import Volume
from pysup.supervisor.spec.volumes import ANONYMOUS, DRIVER, check_driver, check_volume, source_of
from pysup.supervisor.volumes import directories, filling
from pysup.supervisor.volumes.copying import Owners
from pysup.supervisor.volumes.filling import Image, Place

log = logging.getLogger(__name__)

IN_USE = "cannot remove volume {}: volume is in use"


class Pruned(NamedTuple):
    """What ``volume prune`` has done."""

    names: list[str]
    freed: int
    """Bytes."""


class Volumes:
    """One for each daemon."""

    def __init__(
        self, store: Store, settings: Settings, *, news: NewsDesk, trash: Trash, disk: trio.CapacityLimiter
    ) -> None:
        self._store = store
        self._directory = settings.volumes_dir
        self._news = news
        self._trash = trash
        self._disk = disk
        self._turn = trio.Lock()
        self._fills = trio.Lock()
        self._held: Counter[str] = Counter()
        """By containers whose rows come next."""

    async def prepare(self) -> None:
        """Remove what a crash left; the trash is open."""
        await trio.to_thread.run_sync(directories.prepare, self._directory)
        known = volumes.list_volumes(self._store.read())
        self._trash.throw(*directories.leftovers(self._directory, {row.name for row in known}))
        await trio.to_thread.run_sync(self._finish_fillings, known)

    def _finish_fillings(self, known: Iterable[Row]) -> None:
        for row in known:
            place = self.place(row.name, row.options)
            try:
                if place is not None and os.path.isdir(place.data):
                    filling.finish(place)
            except OSError as error:
                log.error("cannot fill volume %s: %s", row.name, error.strerror)

    # -- finding ---------------------------------------------------------------------------------------------

    def get(self, name: str) -> Row:
        """A volume's row. Raises NotFound."""
        row = volumes.get(self._store.read(), name)
        if row is None:
            raise NotFound(f"cannot find volume {name}: no such volume: {name}")
        return row

    def data(self, name: str) -> str:
        """Where its content is on the host."""
        return directories.data_of(self._directory, name)

    def place(self, name: str, options: Mapping[str, str]) -> Place | None:
        """Where something can be copied into it; None: it is a file system of its own, or may not be written."""
        source = source_of(name, options)
        if source is None:
            return filling.own_place(self._directory, name)
        if source.fstype or "ro" in source.options:
            return None
        return filling.host_place(source.device.rstrip("/"), name)

    def empty_place(self, name: str, options: Mapping[str, str]) -> Place | None:
        """The same, if there is nothing in it. Raises Unavailable."""
        place = self.place(name, options)
        try:
            return place if place is not None and filling.is_empty(place) else None
        except OSError as error:
            raise Unavailable(f"cannot use volume {name}: {error.filename}: {error.strerror}") from error

    async def size(self, name: str) -> int:
        """Bytes on disk, counted in a thread."""
        return await trio.to_thread.run_sync(tree_sizes, [self.data(name)], limiter=self._disk)

    # -- making ----------------------------------------------------------------------------------------------

    async def create(self, wanted: Volume, caller: Caller) -> Row:
        """Make a volume, or find the one of this name: as docker, without a look at its options.

        Without a name it gets one, and is anonymous. Raises BadRequest, NotFound (the driver), Unavailable.
        """
        name = wanted.name or secrets.token_hex(32)
        volume = Volume(
            name,
            anonymous=not wanted.name,
            driver=check_driver(wanted.driver),
            options=wanted.options,
            labels=wanted.labels,
        )
        check_volume(volume)
        async with self._turn:
            if volumes.get(self._store.read(), name) is None:
                await self.make_directory(name)
                row = partial(insert, volume=volume, caller=caller, now_ns=time.time_ns())
                await self._store.write(row)
                self._news.publish(Happening("volume", name, "create"))
        return self.get(name)

    async def make_directory(self, name: str) -> None:
        """The directory of a volume whose row comes next. Raises Unavailable."""
        try:
            await trio.to_thread.run_sync(directories.make, self._directory, name, limiter=self._disk)
        except OSError as error:
            raise Unavailable(f"cannot create volume {name}: {error.strerror}") from error

    async def fill(self, place: Place, image: Image, path: str, owners: Owners) -> None:
        """Copy a directory of an image into a volume, if that is empty. Raises Unavailable."""
        fill = partial(filling.fill, place, image, path, owners)
        async with self._fills:
            try:
                await trio.to_thread.run_sync(fill, limiter=self._disk)
            except OSError as error:
                raise Unavailable(
                    f"cannot copy {path} of the image into volume {place.name}: {error.strerror}"
                ) from error

    @contextmanager
    def held(self, names: Collection[str]) -> Iterator[None]:
        """They are in use already: from before a container's volumes are made until its row names them."""
        self._held.update(names)
        try:
            yield
        finally:
            self._held -= Counter(names)

    def discard(self, name: str) -> None:
        """The directory of a volume whose row does not come after all."""
        if volumes.get(self._store.read(), name) is None:
            self._trash.throw(f"{self._directory}/{name}")

    # -- removing --------------------------------------------------------------------------------------------

    async def remove(self, name: str, caller: Caller, *, force: bool = False) -> None:
        """Remove a volume that no container uses. Raises Conflict, NotFound (not with force)."""
        async with self._turn:
            if volumes.get(self._store.read(), name) is None and force:
                return
            self.get(name)
            if name in self._held:
                raise Conflict(f"{IN_USE.format(name)} by a container that is being created")
            await self._store.write(partial(_delete, name=name, caller=caller))
            self.throw([name])

    def throw(self, names: Sequence[str]) -> None:
        """The files of volumes whose rows are gone. What cannot go now is removed by the next start."""
        for name in names:
            try:
                self._trash.throw(f"{self._directory}/{name}")
            except OSError as error:
                log.error("cannot remove the files of volume %s: %s", name, error.strerror)
            self._news.publish(Happening("volume", name, "destroy"))

    async def prune(self, names: Sequence[str], caller: Caller) -> Pruned:
        """Remove those of these volumes that nobody uses by now."""
        removed, freed = [], 0
        for name in names:
            size = await self.size(name)
            try:
                await self.remove(name, caller)
            except (Conflict, NotFound):
                continue
            removed.append(name)
            freed += size
        await self._store.write(partial(note, name="", action="prune", told={"reclaimed": str(freed)}))
        self._news.publish(Happening("volume", "", "prune"))
        return Pruned(removed, freed)


# -- in the transaction --------------------------------------------------------------------------------------


def insert(conn: Connection, volume: Volume, caller: Caller, now_ns: int) -> None:
    """The row of a new volume, and the event that tells of it."""
    volumes.insert(
        conn,
        name=volume.name,
        created_at=now_ns,
        driver=volume.driver,
        labels=dict(volume.labels) | ({ANONYMOUS: ""} if volume.anonymous else {}),
        options=dict(volume.options),
        anonymous=volume.anonymous,
    )
    note(conn, volume.name, "create", {"driver": volume.driver}, caller)


def _delete(conn: Connection, name: str, caller: Caller) -> None:
    """The database itself refuses to forget a volume that is in use."""
    try:
        gone = volumes.delete(conn, name)
    except sqlite3.IntegrityError:
        raise Conflict(f"{IN_USE.format(name)} by {_users(conn, name)}") from None
    if gone:
        note(conn, name, "destroy", {"driver": DRIVER}, caller)


def _users(conn: Connection, name: str) -> str:
    """``container web (1a2b…)``, as many as there are."""
    ids = sorted({use.container_id for use in volumes.uses(conn, name)})
    rows = [row for row in (containers.get(conn, one) for one in ids) if row is not None]
    return ", ".join(f"container {row.name} ({row.id[:12]})" for row in rows)


def note(
    conn: Connection,
    name: str,
    action: str,
    told: Mapping[str, str],
    caller: Caller = DAEMON,
    *,
    now_ns: int | None = None,
) -> None:
    """Write one event row of a volume."""
    event_rows.note(conn, "volume", action, name, told, caller=caller, now_ns=now_ns)
