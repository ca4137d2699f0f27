"""Keeps what is remembered within its bounds: events, removed containers, the logs of all containers together."""

from __future__ import annotations

import logging
import os
from functools import partial

import trio

from pysup.store import containers, events, execs
from pysup.store.errors import StoreError
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.logs.retention import trim
from pysup.supervisor.settings import Settings

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks: rare enough to cost nothing, often enough for bounds that are hours and gigabytes."""
SECOND = 1_000_000_000


async def keep_within_bounds(parts: Parts) -> None:
    """Look now and then, for as long as the engine lives."""
    while True:
        try:
            await forget_old(parts)
            await trim_logs(parts)
        except (StoreError, OSError) as error:
            log.error("cannot forget what is old: %s", error)
        await trio.sleep(EVERY)


async def forget_old(parts: Parts) -> None:
    """Delete events and removed containers whose time is over, then their directories."""
    now, settings = parts.now_ns(), parts.settings
    removed_before = now - settings.log_retention * SECOND
    await parts.store.write(partial(events.prune, before=now - settings.event_retention * SECOND))
    await parts.store.write(partial(execs.forget_ended, before=removed_before))
    for container_id in await parts.store.write(partial(containers.forget_removed, before=removed_before)):
        parts.trash.throw(settings.container_dir(container_id))


async def trim_logs(parts: Parts) -> None:
    """The oldest log segments of all containers go first, until the total is within its bound."""
    await trio.to_thread.run_sync(_trim, parts.settings, limiter=parts.disk)


def _trim(settings: Settings) -> None:
    root = os.path.dirname(settings.container_dir("x"))
    names = os.listdir(root) if os.path.isdir(root) else []
    trim([os.path.join(root, name, "logs") for name in names], settings.log_total)
