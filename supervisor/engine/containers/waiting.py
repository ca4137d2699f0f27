"""Waiting for a container's end: looked at and armed at one moment, so that no end is missed between the two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import trio

from pysup.store.containers import Container as Row
from pysup.supervisor.engine.containers.states import RESTING, State
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.errors import NotFound

Condition = Literal["not-running", "next-exit", "removed"]


async def wait_for(
    condition: Condition,
    row: Row,
    happenings: trio.MemoryReceiveChannel[Happening],
    state: Callable[[], State],
) -> int:
    """Return the exit code once the condition holds.

    ``row``: as it was in the moment of subscribing; ``happenings``: those of this container; ``state``: as it is now.
    """
    code = row.exit_code or 0
    if condition == "not-running" and State(row.state) in RESTING:
        return code
    async for happening in happenings:
        if happening.action == "die":
            code = happening.exit_code
        if _holds(condition, happening.action, state):
            return code
    raise NotFound(f"cannot wait for container {row.name}: the daemon is stopping")


def _holds(condition: Condition, action: str, state: Callable[[], State]) -> bool:
    """An end that is followed by another start is one all the same, as with docker."""
    if action == "destroy":
        return True
    if condition == "next-exit":
        return action == "die"
    if condition == "not-running":
        return action == "rest" or (action == "die" and state() not in RESTING)
    return False
