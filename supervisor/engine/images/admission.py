"""How content becomes an image: everything on disk first, then one transaction with its row, names and event.

    async with admissions.begin() as admission:          # what it takes in is no garbage until the end
        blob = ... admission.content.ingest() ...         # in a thread
        layer = ... admission.unpack(stream, diff_id) ... # in a thread
        image_id = await admission.admit(candidate, …)

What is on disk and belongs to no image is removed at the daemon's start, and at the end of each admission.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection
from typing import IO

import trio

from pysup.store import blobs
from pysup.store.store import Store
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.images import rows as image_rows
from pysup.supervisor.engine.images.rows import Also, Checked, Names
from pysup.supervisor.engine.trash import Trash
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.images import layers, partials
from pysup.supervisor.images.content import Blob, Content
from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import (
    BadImage,
    Descriptor,
    Json,
    Manifest,
    created_ns,
    diff_ids,
    parse,
    parse_config,
)
from pysup.supervisor.images.layers import Layer
from pysup.supervisor.images.leases import Lease, Leases
from pysup.supervisor.images.platforms import Platform, platform_of
from pysup.supervisor.images.whiteouts import is_opaque
from pysup.supervisor.images.write_layers import Rules, Stage, Written


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is to become an image. The layers' blobs and directories are there already."""

    manifest: bytes
    media_type: str
    """The manifest's."""
    config: bytes
    layers: Sequence[Layer]
    """The lowest first."""


class Admissions:
    """One for each daemon."""

    def __init__(self, store: Store, images_dir: str, trash: Trash) -> None:
        self.store = store
        self.images_dir = images_dir
        self._trash = trash
        self._leases = Leases()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Admission]:
        """Take in content for as long as the block lasts; what has become no image by its end is removed."""
        lease = self._leases.lease()
        try:
            with lease:
                yield Admission(self, lease)
        finally:
            with trio.CancelScope(shield=True):
                await self.sweep(lease.names)

    async def sweep(self, names: Iterable[str] | None = None) -> None:
        """Remove what belongs to no image and to nobody on the way: of these names, or of all that is there."""
        chosen = (
            names if names is not None else await trio.to_thread.run_sync(layers.all_names, self.images_dir)
        )
        await self.store.write(partial(self._hide, names=chosen))
        self._trash.unlink()

    async def forget_partials(self, before_ns: int) -> int:
        """Remove beginnings of blobs that nobody has gone on with since (nanoseconds since the epoch), nor does now;
        the bytes that they had.
        """
        return await trio.to_thread.run_sync(self._forget_partials, before_ns / 10**9)

    async def oldest_partial(self) -> int | None:
        """When the beginning of a blob that was left longest was last gone on with (nanoseconds since the epoch)."""
        return await trio.to_thread.run_sync(partials.oldest, self.images_dir)

    def _forget_partials(self, before: float) -> int:
        sizes: list[int] = []

        def remove(name: str) -> None:
            sizes.append(partials.remove(self.images_dir, name))

        for name in partials.untouched_since(self.images_dir, before):
            self._leases.unless_held(name, partial(remove, name))
        return sum(sizes)

    def _hide(self, conn: Connection, names: Iterable[str]) -> None:
        """In the store's own thread: no image can come between the look at the rows and the removal."""
        used = image_rows.names_in_use(conn)
        for name in names:
            if name not in used:
                self._leases.unless_held(name, partial(self._trash.hide, os.path.join(self.images_dir, name)))


class Admission:
    """One load, pull, import, commit or build. Made by Admissions.begin()."""

    def __init__(self, admissions: Admissions, lease: Lease) -> None:
        self._admissions = admissions
        self._lease = lease
        self.images_dir = admissions.images_dir
        self.content = Content(admissions.images_dir, lease.hold)

    def unpack(
        self, source: IO[bytes], expected: str | None = None, *, plain_digest: str | None = None
    ) -> Layer:
        """layers.unpack_layer(), held. Blocks."""
        return layers.unpack_layer(
            source, self.images_dir, expected, plain_digest=plain_digest, hold=self._lease.hold
        )

    def existing(self, diff_id: str) -> Layer | None:
        """A layer that is there already, held. Blocks."""
        return layers.existing(self.images_dir, diff_id, self._lease.hold)

    def take(self, stage: Stage, rules: Rules) -> Written | None:
        """What a container has written as a layer, held (write_layers.py). Blocks."""
        return stage.finish(self.content, rules, self._lease.hold)

    def hold_layers(self, names: Iterable[str]) -> None:
        """Keep layers of an image, by their directories' names, whatever becomes of it."""
        for name in names:
            self._lease.hold(f"{layers.LAYERS}/{name}")

    async def admit(
        self,
        candidate: Candidate,
        names: Names,
        action: str,
        caller: Caller,
        *,
        also: Also = image_rows.nothing,
    ) -> str:
        """Make it an image and give it its names; its id. Raises BadImage, Conflict, Unavailable.

        The same config is the same image: it keeps the manifest that it had first, and gets the new names.
        """
        checked = await trio.to_thread.run_sync(self._check, candidate)
        await self._admissions.store.write(
            partial(image_rows.write, checked=checked, names=names, action=action, caller=caller, also=also)
        )
        return checked.id

    def _check(self, candidate: Candidate) -> Checked:
        manifest, config = parse(candidate.manifest, candidate.media_type), parse_config(candidate.config)
        if not isinstance(manifest, Manifest):
            raise BadImage("cannot use the image's manifest: it is an index")
        _agree(candidate, manifest, config)
        try:
            checked = Checked(
                id=digest_of(candidate.config),
                config=candidate.config.decode(),
                created_at=created_ns(config) or time.time_ns(),
                platform=_linux(platform_of(config)),
                manifest=_row(self.content.add_bytes(candidate.manifest), manifest.media_type),
                config_blob=_row(self.content.add_bytes(candidate.config), manifest.config.media_type),
                layer_blobs=tuple(map(self._layer_blob, manifest.layers)),
                layers=self._visible(candidate.layers),
            )
            self.content.sync()
        except OSError as error:
            raise Unavailable(f"cannot store the image: {error.strerror}") from error
        return checked

    def _layer_blob(self, layer: Descriptor) -> blobs.Blob:
        found = self.content.has(layer.digest)
        if found != layer.size:
            cause = "it is missing" if found is None else f"it has {found} bytes instead of {layer.size}"
            raise BadImage(f"cannot use the image's layer {layer.digest}: {cause}")
        return blobs.Blob(layer.digest, layer.size, layer.media_type)

    def _visible(self, found: Sequence[Layer]) -> tuple[Layer, ...]:
        """Topmost first, each once, as the upper of two that are the same hides the lower one wholly; and none
        below an opaque root, which overlayfs would show nevertheless.
        """
        visible: dict[str, Layer] = {}
        for layer in reversed(found):
            visible.setdefault(layer.name, layer)
            if is_opaque(os.path.join(self.images_dir, layers.LAYERS, layer.name)):
                break
        return tuple(visible.values())


def _agree(candidate: Candidate, manifest: Manifest, config: Json) -> None:
    """Digests are names only if everybody means the same by them. Raises BadImage."""
    if manifest.config.digest != digest_of(candidate.config) or manifest.config.size != len(candidate.config):
        raise BadImage("cannot use the image's config: it is not the one that the manifest names")
    wanted, found = diff_ids(config), [layer.diff_id for layer in candidate.layers]
    if len(manifest.layers) != len(wanted):
        raise BadImage(
            f"cannot use the image's manifest: it has {len(manifest.layers)} layers, the config {len(wanted)}"
        )
    if wanted != found:
        raise BadImage("cannot use the image's config: its rootfs.diff_ids are not those of its layers")


def _linux(platform: Platform) -> Platform:
    if platform.os != "linux":
        raise BadImage(f"cannot use the image: it is for {platform.os[:100]!r}, and pysup runs linux only")
    return platform


def _row(blob: Blob, media_type: str) -> blobs.Blob:
    return blobs.Blob(blob.digest, blob.size, media_type)
