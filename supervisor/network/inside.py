"""Doing something in another network namespace while all other tasks go on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from pysup.supervisor.kernel import netns

T = TypeVar("T")


async def run_inside(namespace: int | None, call: Callable[[], T]) -> T:
    """What a call gives in the network namespace of this descriptor; None: in the daemon's own.

    Root goes there and back at once. An ordinary user has a thread go there and end, which is not waited for here
    (netns.run_inside). Not cancellable once it has begun: what comes of it is the caller's. Raises as that.
    """
    if namespace is None or netns.is_governed():
        return netns.run_inside(namespace, call)
    return await trio.to_thread.run_sync(partial(netns.run_inside, namespace, call))
