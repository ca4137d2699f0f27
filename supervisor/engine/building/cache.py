"""What earlier builds did: a step's image by its key; its layer by the history of an image that came from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import trio

from pysup.store import blobs, builds, images
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.engine.building.steps import Made
from pysup.supervisor.engine.images.admission import Admission
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import NotFound
from pysup.supervisor.images.content import Blob
from pysup.supervisor.images.documents import Json, diff_ids
from pysup.supervisor.images.write_layers import Written

NO_LAYER = -1
"""A step that has changed the config alone."""


@dataclass(frozen=True, slots=True)
class Source:
    """An image that is named by --cache-from."""

    config: Json
    layers: tuple[blobs.Blob, ...]
    """The lowest first."""


class Reused(NamedTuple):
    """A step that need not be done."""

    written: Written | None
    """Its layer, if it has one."""


class Cache:
    """Asked by one build. ``hold`` keeps an image until the build is over."""

    def __init__(self, parts: Parts, order: Order, hold: Callable[[str], None]) -> None:
        self._parts = parts
        self._hold = hold
        self._off = order.no_cache
        self._allowed: frozenset[str] | None = None
        self._sources: list[Source] = []
        if order.cache_from:
            self._look_at(order.cache_from)

    def _look_at(self, names: tuple[str, ...]) -> None:
        """What the images were built on, and how they came about; one that is not there says nothing, as in docker."""
        found: set[str] = set()
        conn = self._parts.store.read()
        for name in names:
            try:
                image_id = self._parts.images.resolve(name).id
            except NotFound:
                continue
            found |= {image_id, *builds.parents(conn, image_id)}
            if (row := images.get(conn, image_id)) is not None:
                kept = blobs.of_image(conn, image_id, "layer")
                self._sources.append(Source(json.loads(row.config), tuple(kept)))
        self._allowed = frozenset(found)

    async def find(self, key: str) -> str | None:
        """The image that the step with this key gave, held; None if the work must be done."""
        step = None if self._off else builds.find(self._parts.store.read(), key)
        if step is None or (self._allowed is not None and step.image_id not in self._allowed):
            return None
        self._hold(step.image_id)
        is_there = await self._parts.store.write(partial(builds.used, key=key, now_ns=self._parts.now_ns()))
        return step.image_id if is_there else None

    async def reuse(self, admission: Admission, parent: Json, made: Made) -> Reused | None:
        """What the same step gave an image of --cache-from; None if that is not known."""
        if self._off or not made.tells_all:
            return None
        for source in self._sources:
            place = same_step(parent, source.config, made.told)
            if place == NO_LAYER:
                return Reused(None)
            if place is not None and place < len(source.layers):
                written = await trio.to_thread.run_sync(_written, admission, source, place)
                if written is not None:
                    return Reused(written)
        return None


def _written(admission: Admission, source: Source, place: int) -> Written | None:
    """None if it is not there, or damaged. Blocks."""
    blob = source.layers[place]
    layer = admission.existing(diff_ids(source.config)[place])
    if layer is None or admission.content.has(blob.digest) != blob.size:
        return None
    return Written(layer, Blob(blob.digest, blob.size), blob.media_type)


def same_step(parent: Json, source: Json, told: str) -> int | None:
    """Which layer of an image is that of the step that follows ``parent``, or NO_LAYER; None: it is another step.

    The image must have come about by the same steps up to there, with the same layers. Pure.
    """
    before, steps = _told(parent), list(source.get("history") or [])
    known = diff_ids(parent) if parent.get("rootfs") else []
    if [step.get("created_by") or "" for step in steps[: len(before)]] != before or len(steps) == len(before):
        return None
    if diff_ids(source)[: len(known)] != known or steps[len(before)].get("created_by") != told:
        return None
    return NO_LAYER if steps[len(before)].get("empty_layer") else len(known)


def _told(config: Json) -> list[str]:
    return [step.get("created_by") or "" for step in config.get("history") or []]
