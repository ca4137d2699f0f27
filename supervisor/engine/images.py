"""Images as containers and the API use them: rows in the store, layers as directories."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection
from typing import Any

from pysup.store import containers, events, images
from pysup.store.errors import Ambiguous, Missing
from pysup.store.images import Image as Row
from pysup.store.store import Store
from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.errors import BadRequest, Conflict, NotFound
from pysup.supervisor.images.host import HOST, HOST_ID, LAYER, host_config
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.reference import Reference, parse_reference


@dataclass(frozen=True, slots=True)
class Image:
    """What a container needs to know of its image."""

    id: str
    """``sha256:…``; empty for a directory (--rootfs)."""
    config: dict[str, Any]
    """The inner ``config`` of the image configuration: Env, Cmd, …"""
    lower: tuple[str, ...]
    """Directories of the layers, topmost first."""


class Images:
    """One for each daemon."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def prepare(self) -> None:
        """Note the host image."""
        await self._store.write(_note_host)

    # -- finding ---------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> Image:
        """By name, id or unique prefix of the id. Raises NotFound, BadRequest if ambiguous."""
        row = self._find(ref)
        return Image(row.id, json.loads(row.config).get("config") or {}, self._lower(row))

    def _find(self, ref: str) -> Row:
        conn = self._store.read()
        try:
            name = parse_reference(ref).tagged()
        except ValueError:
            name = None
        tagged = images.tagged(conn, name.repository, name.tag) if name is not None else None
        try:
            return tagged or images.find(conn, ref)
        except Missing:
            raise NotFound(f"cannot find image {ref}: No such image: {ref}") from None
        except Ambiguous:
            raise BadRequest(f"cannot find image {ref}: the prefix is that of several ids") from None

    def _lower(self, row: Row) -> tuple[str, ...]:
        base = os.path.join(self._settings.images_dir, "layers")
        return tuple(layer if layer == LAYER else os.path.join(base, layer) for layer in row.layers)

    def rootfs_image(self, directory: str) -> Image:
        """A directory as an image. Raises NotFound."""
        if not os.path.isdir(directory):
            raise NotFound(f"cannot use --rootfs {directory}: it is not a directory")
        return Image("", {}, (os.path.realpath(directory),))

    # -- names -----------------------------------------------------------------------------------------------

    async def tag(self, ref: str, name: Reference, caller: Caller) -> None:
        """Give an image another name, which another image may lose by that."""
        image_id = self._find(ref).id

        def write(conn: Connection) -> None:
            images.set_tag(conn, name.repository, name.tag, image_id)
            _add_event(conn, "tag", image_id, str(name), caller)

        await self._store.write(write)

    async def remove(self, ref: str, caller: Caller, *, force: bool = False) -> list[dict[str, str]]:
        """Take a name away, and the image with its last one. Raises Conflict if a container uses it."""
        row = self._find(ref)
        if row.id == HOST_ID:
            raise Conflict(f"cannot remove image {ref}: it is built in")
        del force
        steps: list[dict[str, str]] = await self._store.write(
            partial(_remove, row=row, ref=ref, caller=caller)
        )
        return steps


def _note_host(conn: Connection) -> None:
    images.insert(conn, id=HOST_ID, config=host_config(), layers=(LAYER,), size=0, created_at=0)
    images.set_tag(conn, HOST, "latest", HOST_ID)


def _remove(conn: Connection, row: Row, ref: str, caller: Caller) -> list[dict[str, str]]:
    users = containers.using_image(conn, row.id)
    if users:
        raise Conflict(f"cannot remove image {ref}: container {users[0].name} uses it")
    steps = [{"Untagged": f"{tag.repository}:{tag.tag}"} for tag in images.list_tags(conn, row.id)]
    images.delete(conn, row.id)
    _add_event(conn, "delete", row.id, ref, caller)
    return [*steps, {"Deleted": row.id}]


def _add_event(conn: Connection, action: str, image_id: str, name: str, caller: Caller) -> None:
    events.add(
        conn,
        time=time.time_ns(),
        type="image",
        action=action,
        actor_id=image_id,
        attributes={"name": name},
        caller_uid=caller.uid,
        caller_pid=caller.pid,
    )
