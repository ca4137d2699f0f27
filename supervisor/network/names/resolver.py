"""A container's resolver from beginning to end: what the engine starts, and cancels."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import trio

from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.names.sockets import open_sockets
from pysup.supervisor.network.names.upstreams import Upstreams
from pysup.supervisor.network.names.zone import Zone

_SERVER = "pysup.supervisor.network.names.server"


async def run(
    firewall: Firewall,
    namespace: int,
    container: str,
    zone: Callable[[], Zone],
    upstreams: Callable[[], Upstreams],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on 127.0.0.11 in the network namespace of a descriptor, until cancelled; started once it answers.

    It serves the namespace, not a run: while the namespace is kept for the next run, so should this be, since rules
    that are exchanged take the kernel 10 ms, and new ones half a one.

    ``container`` is its name, for errors. The descriptor is needed until it has started, and as long as upstreams
    name it. Raises OSError, Unavailable before it has started, and nothing afterwards.
    """
    sockets = await open_sockets(firewall, namespace, container)
    try:
        server = await trio.to_thread.run_sync(importlib.import_module, _SERVER)  # dnspython: 0.15 s, once
        task_status.started()
        await server.serve(sockets, zone, upstreams)
    finally:
        sockets.close()
