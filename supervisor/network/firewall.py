"""Applies rules: one transaction after the other, each whole or not at all, in a process that has libnftables."""

from __future__ import annotations

import json
import os
import socket

import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel.files import memory_file
from pysup.supervisor.network import nft_worker


class Firewall:
    """The daemon's network namespace, or that of a container, as nft(8) sees it."""

    def __init__(self) -> None:
        self._busy = trio.Lock()
        self._worker: socket.socket | None = None
        self._home: int | None = None
        self.pid = 0
        """Of the process that works, by which its transactions are known (network/watching.py)."""

    def settle(self, home: int | None) -> None:
        """Work in the network namespace of a descriptor from now on; None: in the daemon's own."""
        if home != self._home:
            self.close()
            self._home = home

    async def apply(self, commands: str, what: str, *, namespace: int | None = None) -> str:
        """Run a transaction; ``what`` it does is for the error. Raises Unavailable: nothing was changed then.

        A transaction that has begun is not cancelled: whoever asked must know whether it was done.
        """
        async with self._busy:
            outcome, text = await trio.to_thread.run_sync(self._ask, commands, namespace)
        if outcome != "done":
            raise Unavailable(f"cannot {what}: {text}")
        return text

    def _ask(self, commands: str, namespace: int | None) -> tuple[str, str]:
        fds = [memory_file("pysup-rules", commands.encode())]
        try:
            if self._worker is None:
                self.pid, self._worker = nft_worker.start(self._home)
            socket.send_fds(self._worker, [b"run"], fds if namespace is None else [*fds, namespace])
            answer = self._worker.recv(nft_worker.LARGEST)
        except OSError as error:
            return "refused", self._gone(f"nftables: {error.strerror}")
        finally:
            os.close(fds[0])
        if not answer:
            return "refused", self._gone("nftables: its process has ended")
        outcome, text = json.loads(answer)
        return outcome, text

    def _gone(self, cause: str) -> str:
        """The next transaction gets a new one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        return cause

    def close(self) -> None:
        """Let the process end; that happens also when nobody has the firewall any more."""
        self._gone("")

    __del__ = close
