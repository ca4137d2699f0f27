"""Waiting for the kernel to finish something about a cgroup that it tells nobody about: polled, and bounded."""

from __future__ import annotations

from collections.abc import Callable

import trio

BOUND = 10.0
"""Seconds after which a cgroup that does not freeze, empty or go away is an error."""
_FIRST, _LONGEST = 0.0005, 0.05
"""Most of it takes microseconds; the pauses double from half a millisecond up to 50."""


async def until(condition: Callable[[], bool], bound: float = BOUND) -> bool:
    """Try until it holds, then True; False when the bound is over. The first try is made at once."""
    if condition():
        return True
    pause = _FIRST
    with trio.move_on_after(bound):
        while True:
            await trio.sleep(pause)
            if condition():
                return True
            pause = min(2 * pause, _LONGEST)
    return False
