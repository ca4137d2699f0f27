"""Images as containers and the API use them: rows in the store, layers as directories."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from sqlite3 import Connection
from typing import Any

import trio

from pysup.store import blobs, builds, containers, images
from pysup.store.errors import Ambiguous, Missing
from pysup.store.images import Digest, Tag
from pysup.store.images import Image as Row
from pysup.store.store import Store
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.images.admission import Admissions
from pysup.supervisor.engine.images.feeding import WAITING
from pysup.supervisor.engine.images.registries import Registries
from pysup.supervisor.engine.images.rows import add_event, names_in_use, set_tag
from pysup.supervisor.engine.trash import Trash
from pysup.supervisor.errors import BadRequest, Conflict, NotFound
from pysup.supervisor.images.content import TEMPORARY
from pysup.supervisor.images.host import HOST, HOST_ID, LAYER, architecture, host_config
from pysup.supervisor.images.layers import EMPTY, LAYERS, make_directories
from pysup.supervisor.images.leases import Leases
from pysup.supervisor.images.platforms import Platform, platform_of, runs_on
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
    """Directories of the layers, topmost first; at least one."""
    warnings: tuple[str, ...] = ()
    """What whoever makes a container of it should know."""


class Images:
    """One for each daemon."""

    def __init__(self, store: Store, settings: Settings, trash: Trash) -> None:
        self._store = store
        self._settings = settings
        self._trash = trash
        self.admissions = Admissions(store, settings.images_dir, trash)
        self.registries = Registries(settings)
        self.in_builds = Leases()
        """Ids of images that builds stand on: what is there for the cache alone stays until they are over."""

    async def prepare(self) -> None:
        """Note the host image, and remove what a crash left of loads, imports and removals. The trash is open."""
        self._trash.throw(os.path.join(self._settings.images_dir, TEMPORARY))
        await trio.to_thread.run_sync(make_directories, self._settings.images_dir)
        self._trash.throw_leftovers(self._settings.images_dir)
        if not await self._store.query(_is_host_noted):  # a full disk keeps no engine from its start
            await self._store.write(_note_host)
        await self.admissions.sweep()

    # -- finding ---------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> Image:
        """By name, id or unique prefix of the id. Raises NotFound, BadRequest if ambiguous."""
        row = self._find(ref)
        config = json.loads(row.config).get("config") or {}
        return Image(row.id, config, self._lower(row), _warnings(row))

    def check_platform(self, ref: str, wanted: Platform) -> None:
        """Whether an image that is here is for a platform. Raises NotFound, after which docker's clients pull it."""
        row = self._find(ref)
        own = Platform(row.os, row.architecture, row.variant)
        if not runs_on(own, wanted):
            raise NotFound(f"cannot find image {ref} for {wanted}: No such image: {ref} here is for {own}")

    def _find(self, ref: str) -> Row:
        conn = self._store.read()
        try:
            name = parse_reference(ref).tagged()
        except ValueError:
            name = None
        named = _named(conn, name) if name is not None else None
        try:
            return named or images.find(conn, ref)
        except Missing:
            raise NotFound(f"cannot find image {ref}: No such image: {ref}") from None
        except Ambiguous:
            raise BadRequest(f"cannot find image {ref}: the prefix is that of several ids") from None

    def _lower(self, row: Row) -> tuple[str, ...]:
        base = os.path.join(self._settings.images_dir, LAYERS)
        found = tuple(layer if layer == LAYER else os.path.join(base, layer) for layer in row.layers)
        return found or (os.path.join(self._settings.images_dir, EMPTY),)

    @staticmethod
    async def rootfs_image(directory: str) -> Image:
        """A directory as an image. Raises NotFound. It may lie on a file server that does not answer."""
        real = await trio.to_thread.run_sync(
            _real_directory, directory, abandon_on_cancel=True, limiter=WAITING
        )
        return Image("", {}, (real,))

    # -- names -----------------------------------------------------------------------------------------------

    async def tag(self, ref: str, name: Reference, caller: Caller) -> None:
        """Give an image another name, which another image may lose by that."""
        image_id = self._find(ref).id

        def write(conn: Connection) -> None:
            set_tag(conn, name, image_id)
            add_event(conn, "tag", image_id, str(name), caller)

        await self._store.write(write)

    async def remove(
        self, ref: str, caller: Caller, *, force: bool = False, alone: bool = False
    ) -> list[dict[str, str]]:
        """Take a name away, and the image with its last one; docker's list of what was done.

        What the cache of builds has for this image only goes with it, unless it is to go ``alone``.

        Raises Conflict if a container uses the image, or if it has several names and was given by its id.
        """
        row, name = self._find(ref), self._tag_of(ref)
        kept = None if alone else self.in_builds
        steps, unused = await self._store.write(
            partial(_remove, row=row, name=name, ref=ref, caller=caller, force=force, kept=kept)
        )
        await self.admissions.sweep(unused)
        return steps

    def _tag_of(self, ref: str) -> Tag | None:
        """The tag that a reference names, if it names one and not an id."""
        try:
            name = parse_reference(ref).tagged()
        except ValueError:
            return None
        found = images.tagged(self._store.read(), name.repository, name.tag)
        return None if found is None else Tag(name.repository, name.tag, found.id)


def _warnings(row: Row) -> tuple[str, ...]:
    """Docker's words for an image of another architecture, which runs where binfmt_misc has an interpreter for it."""
    own, host = Platform(row.os, row.architecture, row.variant), platform_of({"architecture": architecture()})
    if runs_on(own, host):
        return ()
    shown = f"The requested image's platform ({own}) does not match the detected host platform ({host})"
    return (f"{shown} and no specific platform was requested",)


def _named(conn: Connection, name: Reference) -> Row | None:
    """By digest where there is one: the tag beside it says nothing then."""
    if name.digest:
        return images.with_digest(conn, name.repository, name.digest)
    return images.tagged(conn, name.repository, name.tag)


def _is_host_noted(conn: Connection) -> bool:
    row, named = images.get(conn, HOST_ID), images.tagged(conn, HOST, "latest")
    return row is not None and row == named and json.loads(row.config) == host_config()


def _note_host(conn: Connection) -> None:
    config = host_config()
    images.insert(
        conn,
        id=HOST_ID,
        config=config,
        layers=(LAYER,),
        size=0,
        created_at=0,
        architecture=config["architecture"],
    )
    images.set_tag(conn, HOST, "latest", HOST_ID)


def _remove(  # the arguments are those of one request
    conn: Connection,
    *,
    row: Row,
    name: Tag | None,
    ref: str,
    caller: Caller,
    force: bool,
    kept: Leases | None,
) -> tuple[list[dict[str, str]], set[str]]:
    tags = images.list_tags(conn, row.id)
    if name is not None and (name.repository, name.tag) == (HOST, "latest"):
        raise Conflict(f"cannot remove image {ref}: it is built in")
    if name is not None and len(tags) > 1:
        images.untag(conn, name.repository, name.tag)
        add_event(conn, "untag", row.id, f"{name.repository}:{name.tag}", caller)
        return [{"Untagged": f"{name.repository}:{name.tag}"}], set()
    digests = images.list_digests(conn, row.id)
    steps = [{"Untagged": f"{tag.repository}:{tag.tag}"} for tag in tags]
    steps += [{"Untagged": f"{one.repository}@{one.digest}"} for one in digests]
    if name is not None and force and containers.using_image(conn, row.id):  # it stays, as docker has it
        _drop_names(conn, tags, digests)
        add_event(conn, "untag", row.id, ref, caller)
        return steps, set()
    _refuse_removal(conn, row, ref, tags, by_id=name is None and not force)
    if steps and builds.has_children(conn, row.id):
        _give_to_cache(conn, row.id, tags, digests)
        add_event(conn, "untag", row.id, ref, caller)
        return steps, set()
    gone = [row.id] if kept is None else [row.id, *_only_for(conn, row.id, kept)]
    unused = delete_rows(conn, gone)
    add_event(conn, "delete", row.id, ref, caller)
    return steps + [{"Deleted": image_id} for image_id in gone], unused


def delete_rows(conn: Connection, ids: Iterable[str]) -> set[str]:
    """Forget images; paths below images/ of what belongs to none any more."""
    before = names_in_use(conn)
    for image_id in ids:
        images.delete(conn, image_id)
    blobs.forget_unused(conn)
    return before - names_in_use(conn)


def _only_for(conn: Connection, image_id: str, kept: Leases) -> list[str]:
    """Images of the cache that were made on the way to this one and to no other."""
    held = kept.held
    return list(takewhile(lambda above: above not in held, builds.unneeded_above(conn, image_id)))


def _give_to_cache(conn: Connection, image_id: str, tags: Iterable[Tag], digests: Iterable[Digest]) -> None:
    """Others were built on it: it loses its names, and is a step on their way, as with docker."""
    _drop_names(conn, tags, digests)
    builds.set_result(conn, image_id, result=False)


def _real_directory(path: str) -> str:
    """Raises NotFound."""
    if not os.path.isdir(path):
        raise NotFound(f"cannot use --rootfs {path}: it is not a directory")
    return os.path.realpath(path)


def _drop_names(conn: Connection, tags: Iterable[Tag], digests: Iterable[Digest]) -> None:
    for tag in tags:
        images.untag(conn, tag.repository, tag.tag)
    for one in digests:
        images.drop_digest(conn, one.repository, one.digest)


def _refuse_removal(conn: Connection, row: Row, ref: str, tags: list[Tag], *, by_id: bool) -> None:
    if row.id == HOST_ID:
        raise Conflict(f"cannot remove image {ref}: it is built in")
    users = containers.using_image(conn, row.id)
    if users:
        raise Conflict(f"cannot remove image {ref}: container {users[0].name} uses it")
    if by_id and len(tags) > 1:
        raise Conflict(f"cannot remove image {ref}: it has several names; remove those, or use --force")
