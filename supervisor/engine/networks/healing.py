"""What others delete or switch off while containers run is made again at once.

``nft flush ruleset``, as in many a firewall's start script, takes every table, and sysctl(8) forwarding. The kernel
tells of it (network/watching.py).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial

import trio

from pysup.store.errors import StoreError
from pysup.supervisor.engine.networks.fabric import Fabric
from pysup.supervisor.errors import PysupError
from pysup.supervisor.kernel import netns, nftables
from pysup.supervisor.kernel.nlmsg import Received
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.neighbours import BEGINNINGS
from pysup.supervisor.network.rules import TABLE
from pysup.supervisor.network.watching import (
    UNKNOWN,
    Watch,
    thief,
    touched,
    watch_forwarding,
    watch_links,
    watch_new_interfaces,
    watch_rules,
)

log = logging.getLogger(__name__)

SETTLE = 0.05
"""Seconds: whoever deletes one thing mostly deletes several, and may put his own in their place."""
PAUSE = 1.0
"""Seconds between two repairs: with a program that deletes again and again, nobody is to be busy with nothing else."""

Look = Callable[[list[Received] | None], Awaitable[bool]]


async def heal(
    fabric: Fabric, firewall: Firewall, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """For as long as the engine lives; nothing is missed after started()."""

    async def look_at_rules(found: list[Received] | None) -> bool:
        by = UNKNOWN if found is None else thief(found, TABLE.split()[1], firewall.pid)
        if by:
            await fabric.remake_rules(by)
        return bool(by)

    async def look_at_links(found: list[Received] | None) -> bool:
        return await fabric.restore_bridges(None if found is None else touched(found))

    async def look_at_forwarding(_found: list[Received] | None) -> bool:
        return await fabric.restore_forwarding()

    async def look_at_neighbours(_found: list[Received] | None) -> bool:
        return await fabric.table.spare_neighbours()

    def begun(watch: Callable[[], Watch]) -> Watch:
        return netns.run_inside(fabric.home.namespace, watch)

    looks: dict[Callable[[], Watch], Look] = {
        watch_links: look_at_links,
        watch_forwarding: look_at_forwarding,
        partial(watch_new_interfaces, BEGINNINGS): look_at_neighbours,
    }
    if nftables.is_in_kernel():
        looks[watch_rules] = look_at_rules
    with ExitStack() as stack:
        followed = [(stack.enter_context(begun(watch)), look) for watch, look in looks.items()]
        async with trio.open_nursery() as nursery:
            for watch, look in followed:
                nursery.start_soon(_follow, watch, look)
            task_status.started()


async def _follow(watch: Watch, look: Look) -> None:
    while True:
        found = await watch.more()
        await trio.sleep(SETTLE)
        rest = watch.pending()
        try:
            acted = await look(None if found is None or rest is None else [*found, *rest])
        except (PysupError, StoreError, OSError) as error:
            log.error("cannot repair networks: %s", error)
            acted = True
        if acted:
            await trio.sleep(PAUSE)
