"""Applies rules: one transaction after the other, each whole or not at all, in a thread."""

from __future__ import annotations

import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import libraries, netns, nftables


class Firewall:
    """The daemon's network namespace, or that of a container, as nft(8) sees it."""

    def __init__(self) -> None:
        self._busy = trio.Lock()

    async def apply(self, commands: str, what: str, *, namespace: int | None = None) -> str:
        """Run a transaction; ``what`` it does is for the error. Raises Unavailable: nothing was changed then.

        A transaction that has begun is not cancelled: whoever asked must know whether it was done.
        """
        async with self._busy:
            return await trio.to_thread.run_sync(_run, commands, what, namespace)


def _run(commands: str, what: str, namespace: int | None) -> str:
    try:
        return _run_in(commands, namespace)
    except (libraries.Missing, nftables.Refused) as error:
        raise Unavailable(f"cannot {what}: {_explained(str(error))}") from error


def _run_in(commands: str, namespace: int | None) -> str:
    if namespace is None:
        return nftables.run(commands)
    with netns.entered(namespace):
        return nftables.run(commands)


def _explained(cause: str) -> str:
    """What a kernel without a part of nf_tables answers is not for people."""
    if "Operation not supported" in cause or "Protocol not supported" in cause:
        return f"nftables: {cause}: the kernel lacks nf_tables, or its nat or fib part; --network none and host work"
    return f"nftables: {cause}"
