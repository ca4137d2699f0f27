"""Waiting for a container's end: looked at and armed at one moment, so that no end is missed between the two."""

from __future__ import annotations

from typing import Literal

import trio

from pysup.store.containers import Container as Row
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.states import RESTING, State
from pysup.supervisor.errors import NotFound

Condition = Literal["not-running", "next-exit", "removed"]


async def wait_for(
    condition: Condition,
    row: Row,
    happenings: trio.MemoryReceiveChannel[Happening],
) -> int:
    """Return the exit code once the condition holds.

    ``row``: as it was in the moment of subscribing; ``happenings``: those of this container.
    """
    code = row.exit_code or 0
    if condition == "not-running" and State(row.state) in RESTING:
        return code
    async for happening in happenings:
        if happening.action == "die":
            code = happening.exit_code
        if _holds(condition, happening.action):
            return code
    raise NotFound(f"cannot wait for container {row.name}: the daemon is stopping")


def _holds(condition: Condition, action: str) -> bool:
    if action == "destroy":
        return True
    if condition == "next-exit":
        return action == "die"
    return condition == "not-running" and action == "rest"
