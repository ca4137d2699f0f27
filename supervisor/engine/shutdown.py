"""The end of the daemon: every container is stopped as if by hand, but remembered as one that should run."""

from __future__ import annotations

import contextlib
import logging

import trio

from pysup.store import containers
from pysup.supervisor.engine.callers import DAEMON
from pysup.supervisor.engine.containers import commands
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import NotModified, PysupError

log = logging.getLogger(__name__)

ACTIVE = ("starting", "running", "paused", "stopping", "backoff")


async def stop_all(engine: Engine) -> None:
    """Stop all containers at once, each with its own signal and time; returns when none runs that can be killed.

    Builds come first: a RUN that would be ended is no RUN that has failed. No other start begins meanwhile, and what
    had begun before is seen: its row is written before the list is made.
    """
    await engine.builds.stop()
    rows = await engine.parts.store.write(lambda conn: containers.list_containers(conn, ACTIVE))
    async with trio.open_nursery() as nursery:
        for row in rows:
            nursery.start_soon(_stop, engine.roster.owner(row.id))


async def _stop(container: Container) -> None:
    try:
        with contextlib.suppress(NotModified):
            await container.ask(commands.Stop(DAEMON, ended_by="shutdown"))
    except PysupError as error:
        log.error("%s", error)
