"""Removing what the cache of builds has: images that nobody has a name for, and that no build stands on just now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

import trio

from pysup.store import builds, images
from pysup.store.builds import BuildStep
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.disk_use import measured, parts_of_images, without
from pysup.supervisor.engine.event_rows import note
from pysup.supervisor.engine.images.images import delete_rows
from pysup.supervisor.engine.parts import Parts


class Wanted(NamedTuple):
    """What may go."""

    everything: bool = False
    """Also what images that stay were built on, and what is known of how those came about."""
    before: int | None = None
    """Last used before this time: nanoseconds since the epoch."""
    ids: Sequence[str] = ()
    """Beginnings of ids; none: all."""
    keep: int = 0
    """Bytes of what was used last stay."""


class Pruned(NamedTuple):
    """What has gone."""

    ids: list[str]
    freed: int
    """Bytes on disk."""


class Cached(NamedTuple):
    """One step of the cache, and what holds it."""

    step: BuildStep
    in_use: bool
    """A container or a build has it."""
    shared: bool
    """An image that is not of the cache was built on it, and has its layers, too."""


def cached(parts: Parts, conn: Connection) -> list[Cached]:
    """The images that are there for the cache alone, the newest first."""
    used = builds.in_use(conn) | parts.images.in_builds.held
    needed = builds.below_visible(conn)
    return [Cached(step, step.image_id in used, step.image_id in needed) for step in builds.cached(conn)]


def choose(found: Collection[Cached], wanted: Wanted) -> list[str]:
    """Ids of the images that go. Pure."""
    free = [one.step for one in found if not one.in_use and (wanted.everything or not one.shared)]
    free = [step for step in free if wanted.before is None or step.used_at < wanted.before]
    if wanted.ids:
        free = [step for step in free if step.image_id.removeprefix("sha256:").startswith(tuple(wanted.ids))]
    chosen, kept = [], 0
    for step in sorted(free, key=lambda one: -one.used_at):
        kept += step.size
        if kept > wanted.keep or not wanted.keep:
            chosen.append(step.image_id)
    return chosen


async def prune(parts: Parts, wanted: Wanted, caller: Caller) -> Pruned:
    """Remove them, in one transaction; their files afterwards. Raises Unavailable."""
    rows = await parts.store.query(images.list_images)
    of = await parts.store.query(partial(parts_of_images, rows=rows))
    hidden = await parts.store.query(builds.hidden)
    names = frozenset[str]().union(*(of.get(image_id, frozenset()) for image_id in hidden))
    measure = partial(measured, parts.settings.images_dir, names)
    sizes = await trio.to_thread.run_sync(measure, limiter=parts.disk)

    def write(conn: Connection) -> tuple[list[str], set[str]]:
        chosen = choose(cached(parts, conn), wanted)
        if wanted.everything and not (wanted.ids or wanted.keep or wanted.before):
            builds.forget_visible(conn)
        unused = delete_rows(conn, chosen)
        note(conn, "builder", "prune", "", {"images": str(len(chosen))}, caller=caller)
        return chosen, unused

    gone, unused = await parts.store.write(write)
    await parts.images.admissions.sweep(unused)
    kept = {row.id for row in await parts.store.query(images.list_images)}
    return Pruned(gone, without(sizes, of, kept) if gone else 0)
