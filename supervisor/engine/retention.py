"""Keeps what is remembered within its bounds: events, removed containers, the logs of all containers together."""

from __future__ import annotations

import logging
import os
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

import trio

from pysup.store import containers, events, execs
from pysup.store.errors import StoreError
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.logs import retention
from pysup.supervisor.settings import Settings

log = logging.getLogger(__name__)

GATHER = 60.0
"""Seconds between two looks at least: what is over meanwhile goes together."""
SECOND = 1_000_000_000
PARTIALS_KEPT = 24 * 3600
"""Seconds that the beginning of a download is kept for another try."""


async def forget_in_time(parts: Parts) -> None:
    """Forget what is old when its time is over, and sleep until then, for as long as the engine lives."""
    while True:
        pause = 0.0
        try:
            pause = await forget_old(parts)
        except (StoreError, OSError) as error:
            log.error("cannot forget what is old: %s", error)
        await trio.sleep(max(GATHER, pause))


async def keep_logs_bounded(parts: Parts) -> None:
    """Trim the logs whenever their account says that they are nearly too large, for as long as the engine lives."""
    while True:
        try:
            await trim_logs(parts)
            await parts.logs.wait_alarm()
        except OSError as error:
            log.error("cannot trim the logs: %s", error)
            await trio.sleep(GATHER)


async def forget_old(parts: Parts) -> float:
    """Delete events, beginnings of downloads and removed containers whose time is over, then their directories.

    Returns the seconds until the next look: something's time is over then, or that of what comes from now on may be.
    """
    now, settings = parts.now_ns(), parts.settings
    kept = Kept(settings.event_retention * SECOND, settings.log_retention * SECOND)
    gone, due = await parts.store.write(partial(_forget_rows, now=now, kept=kept))
    for container_id in gone:
        parts.trash.throw(settings.container_dir(container_id))
    admissions, partials_kept = parts.images.admissions, PARTIALS_KEPT * SECOND
    await admissions.forget_partials(now - partials_kept)
    oldest = await admissions.oldest_partial()
    due += [oldest + partials_kept] if oldest is not None else []
    shortest = min(time for time in (*kept, partials_kept) if time)
    return (min([shortest, *(moment - now for moment in due)]) + 1) / SECOND


class Kept(NamedTuple):
    """For how long, in nanoseconds."""

    events: int
    removed: int
    """Removed containers; and execs that have ended."""


def _forget_rows(conn: Connection, now: int, kept: Kept) -> tuple[list[str], list[int]]:
    """The ids of forgotten containers; and when the time of what is left will be over."""
    events.prune(conn, before=now - kept.events)
    execs.forget_ended(conn, before=now - kept.removed)
    gone = containers.forget_removed(conn, before=now - kept.removed)
    oldest = (
        (events.oldest(conn), kept.events),
        (execs.oldest_ended(conn), kept.removed),
        (containers.oldest_removed(conn), kept.removed),
    )
    return gone, [time + duration for time, duration in oldest if time is not None]


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
