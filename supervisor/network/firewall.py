"""Applies rules: one transaction after the other, each whole or not at all, in a process that has libnftables."""

from __future__ import annotations

import array
import os
import signal
import socket
from contextlib import suppress

import trio

from pysup.supervisor.errors import Unavailable
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
        if outcome != nft_worker.DONE:
            raise Unavailable(f"cannot {what}: {text}")
        return text

    def _ask(self, commands: str, namespace: int | None) -> tuple[bytes, str]:
        try:
            if self._worker is None:
                self.pid, self._worker = nft_worker.start(self._home)
            nft_worker.send(self._worker, b"run", commands, *([] if namespace is None else [namespace]))
            return self._answer(self._worker)
        except OSError as error:
            return nft_worker.REFUSED, self._gone(f"nftables: {error.strerror}")

    def _answer(self, worker: socket.socket) -> tuple[bytes, str]:
        outcome, fds = received(worker)
        try:
            if not outcome:
                return outcome, self._gone("nftables: its process has ended")
            if outcome not in {nft_worker.DONE, nft_worker.REFUSED} or not fds:
                return nft_worker.REFUSED, self._gone("nftables: its process answers nonsense")
            return outcome, nft_worker.text_of(fds[0])
        finally:
            for fd in fds:
                os.close(fd)

    def _gone(self, cause: str) -> str:
        """The next transaction gets a new one. This one has nothing in its hands, and is no zombie afterwards."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        return cause

    def close(self) -> None:
        """End the process; that happens also when nobody has the firewall any more."""
        self._gone("")

    __del__ = close


def received(worker: socket.socket) -> tuple[bytes, list[int]]:
    """A message and its descriptor, close-on-exec: socket.recv_fds() drops that flag up to Python 3.11."""
    fds = array.array("i")
    data, ancillary, _flags, _address = worker.recvmsg(
        16, socket.CMSG_SPACE(fds.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return data, fds.tolist()
