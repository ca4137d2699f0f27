"""Clients of the daemon: one sans-I/O core, a synchronous transport (the CLI's), an anyio one (the SDK).

    async with pysup.supervisor.client.connect() as pysup:          # asyncio or trio
        container = await pysup.create("host", ["echo", "hello"])

Nothing here needs Linux, and importing this package imports nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysup.supervisor.client.aio import connect

__all__ = ["connect"]


def __getattr__(name: str) -> object:
    """Import the SDK, and anyio with it, when it is first asked for."""
    if name == "connect":
        from pysup.supervisor.client.aio import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
