"""Images as containers and the API use them: rows in the store, layers as directories."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection
from typing import Any

import trio

from pysup.store import containers, events, images
from pysup.store.errors import Ambiguous, Missing
from pysup.store.images import Image as Row
from pysup.store.images import Tag
from pysup.store.store import Store
from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.errors import BadRequest, Conflict, NotFound, PysupError, Unavailable
from pysup.supervisor.images.changes import apply_changes
from pysup.supervisor.images.host import HOST, HOST_ID, LAYER, architecture, host_config
from pysup.supervisor.images.layers import Layer, import_layer, make_directories, remove_layer
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.reference import Reference, parse_reference
from pysup.supervisor.spec.timestamps import rfc3339


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
        """Note the host image, and remove what a crash left of imports."""
        await trio.to_thread.run_sync(make_directories, self._settings.images_dir)
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
            _set_tag(conn, name, image_id)
            _add_event(conn, "tag", image_id, str(name), caller)

        await self._store.write(write)

    async def remove(self, ref: str, caller: Caller, *, force: bool = False) -> list[dict[str, str]]:
        """Take a name away, and the image with its last one; docker's list of what was done.

        Raises Conflict if a container uses the image, or if it has several names and was given by its id.
        """
        row, name = self._find(ref), self._tag_of(ref)
        steps, unused = await self._store.write(
            partial(_remove, row=row, name=name, ref=ref, caller=caller, force=force)
        )
        for layer in unused:
            await trio.to_thread.run_sync(remove_layer, self._settings.images_dir, layer)
        return steps

    def _tag_of(self, ref: str) -> Tag | None:
        """The tag that a reference names, if it names one and not an id."""
        try:
            name = parse_reference(ref).tagged()
        except ValueError:
            return None
        found = images.tagged(self._store.read(), name.repository, name.tag)
        return None if found is None else Tag(name.repository, name.tag, found.id)

    # -- import ----------------------------------------------------------------------------------------------

    async def import_tar(
        self,
        chunks: AsyncIterator[bytes],
        name: Reference | None,
        changes: list[str],
        message: str,
        caller: Caller,
    ) -> str:
        """An archive of a root filesystem as an image with one layer; its id. Raises BadRequest, Unavailable."""
        config = apply_changes(changes)
        layer = await self._unpack(chunks)
        document = _image_document(layer, config, message)
        image_id = "sha256:" + hashlib.sha256(document.encode()).hexdigest()

        def write(conn: Connection) -> None:
            created = time.time_ns()
            images.insert(
                conn, id=image_id, config=document, layers=(layer.name,), size=layer.size, created_at=created
            )
            if name is not None:
                _set_tag(conn, name, image_id)
            _add_event(conn, "import", image_id, str(name or image_id), caller)

        await self._store.write(write)
        return image_id

    async def _unpack(self, chunks: AsyncIterator[bytes]) -> Layer:
        """Feed a thread through a pipe: neither memory nor disk holds the archive as such."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        failure: Exception | None = None
        async with trio.open_nursery() as nursery, trio.lowlevel.FdStream(writer) as feed:
            nursery.start_soon(_copy, chunks, feed)
            try:
                layer = await trio.to_thread.run_sync(_import_from, reader, self._settings.images_dir)
            except (PysupError, OSError) as error:
                failure = error
            nursery.cancel_scope.cancel()
        if isinstance(failure, OSError):
            raise Unavailable(f"cannot import the image: {failure.strerror}") from failure
        if failure is not None:
            raise failure
        return layer


async def _copy(chunks: AsyncIterator[bytes], feed: trio.lowlevel.FdStream) -> None:
    with suppress(trio.BrokenResourceError):  # the thread has had enough, and tells why
        async for chunk in chunks:
            await feed.send_all(chunk)
        await feed.aclose()


def _import_from(reader: int, directory: str) -> Layer:
    with open(reader, "rb") as archive:
        return import_layer(archive, directory)


def _image_document(layer: Layer, config: dict[str, Any], message: str) -> str:
    """The image configuration (OCI image-spec, config.md), whose digest is the image's id."""
    created = rfc3339(time.time_ns())
    history = [{"created": created, "comment": message or "Imported from -"}]
    document = {
        "architecture": architecture(),
        "os": "linux",
        "created": created,
        "comment": message,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": history,
    }
    return json.dumps(document)


def _set_tag(conn: Connection, name: Reference, image_id: str) -> None:
    """The host image keeps its name: ``run host`` means the machine, always. Raises Conflict."""
    if (name.repository, name.tag) == (HOST, "latest") and image_id != HOST_ID:
        raise Conflict(f"cannot tag image {name}: the name is that of the machine's own root")
    images.set_tag(conn, name.repository, name.tag, image_id)


def _note_host(conn: Connection) -> None:
    images.insert(conn, id=HOST_ID, config=host_config(), layers=(LAYER,), size=0, created_at=0)
    images.set_tag(conn, HOST, "latest", HOST_ID)


def _remove(  # the arguments are those of one request
    conn: Connection, *, row: Row, name: Tag | None, ref: str, caller: Caller, force: bool
) -> tuple[list[dict[str, str]], list[str]]:
    tags = images.list_tags(conn, row.id)
    if name is not None and (name.repository, name.tag) == (HOST, "latest"):
        raise Conflict(f"cannot remove image {ref}: it is built in")
    if name is not None and len(tags) > 1:
        images.untag(conn, name.repository, name.tag)
        _add_event(conn, "untag", row.id, f"{name.repository}:{name.tag}", caller)
        return [{"Untagged": f"{name.repository}:{name.tag}"}], []
    _refuse_removal(conn, row, ref, tags, by_id=name is None and not force)
    images.delete(conn, row.id)
    _add_event(conn, "delete", row.id, ref, caller)
    steps = [{"Untagged": f"{tag.repository}:{tag.tag}"} for tag in tags]
    used = {layer for image in images.list_images(conn) for layer in image.layers}
    return [*steps, {"Deleted": row.id}], [layer for layer in row.layers if layer not in used]


def _refuse_removal(conn: Connection, row: Row, ref: str, tags: list[Tag], *, by_id: bool) -> None:
    if row.id == HOST_ID:
        raise Conflict(f"cannot remove image {ref}: it is built in")
    users = containers.using_image(conn, row.id)
    if users:
        raise Conflict(f"cannot remove image {ref}: container {users[0].name} uses it")
    if by_id and len(tags) > 1:
        raise Conflict(f"cannot remove image {ref}: it has several names; remove those, or use --force")


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
