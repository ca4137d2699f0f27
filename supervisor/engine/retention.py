"""Keeps what is remembered within its bounds: events, removed containers, the logs of all containers together."""

from __future__ import annotations

import logging
import os
from functools import partial

import trio

from pysup.store import containers, events, execs
from pysup.store.errors import StoreError
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.logs import retention
from pysup.supervisor.settings import Settings

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks: rare enough to cost nothing, often enough for bounds that are hours and gigabytes."""
SECOND = 1_000_000_000
PARTIALS_KEPT = 24 * 3600
"""Seconds that the beginning of a download is kept for another try."""


async def keep_within_bounds(parts: Parts) -> None:
    """Look now and then, for as long as the engine lives."""
    while True:
        try:
            await forget_old(parts)
            await trim_logs(parts)
        except (StoreError, OSError) as error:
            log.error("cannot forget what is old: %s", error)
        with trio.move_on_after(EVERY):
            await parts.logs.wait_alarm()


async def forget_old(parts: Parts) -> None:
    """Delete events, beginnings of downloads and removed containers whose time is over, then their directories."""
    now, settings = parts.now_ns(), parts.settings
    removed_before = now - settings.log_retention * SECOND
    await parts.store.write(partial(events.prune, before=now - settings.event_retention * SECOND))
    await parts.store.write(partial(execs.forget_ended, before=removed_before))
    await parts.images.admissions.forget_partials(now - PARTIALS_KEPT * SECOND)
    for container_id in await parts.store.write(partial(containers.forget_removed, before=removed_before)):
        parts.trash.throw(settings.container_dir(container_id))


async def trim_logs(parts: Parts) -> None:
    """The oldest log segments of all containers go first, until the total is within its bound."""
    found = await trio.to_thread.run_sync(_stored, parts.settings, limiter=parts.disk)
    total, goal = retention.size(found), parts.logs.goal
    if total <= goal:
        return parts.logs.measured(total)
    chosen = retention.choose(found, goal)
    gone = {segment[:2] for segment in chosen}
    left = [segment for segment in found if segment[:2] not in gone]
    chosen += retention.retire(left, retention.size(left) - goal, parts.logs)
    freed = await trio.to_thread.run_sync(retention.remove, chosen, limiter=parts.disk)
    return parts.logs.measured(total - freed)


def _stored(settings: Settings) -> list[retention.Stored]:
    root = os.path.dirname(settings.container_dir("x"))
    names = os.listdir(root) if os.path.isdir(root) else []
    return [found for name in names for found in retention.stored(os.path.join(root, name, "logs"))]
