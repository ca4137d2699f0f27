"""The engine's side of the keeper: one task reads, any task asks. trio; the keeper itself never imports this.

Descriptors that are given to spawn() and hold() belong to the link from then on (the keeper has duplicates of
them): release() and reap() close both. So the link always knows what this engine holds, which is what it
needs to take the place of a keeper that was killed (KeeperLost.entries, become_keeper()).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import NoReturn

import trio

from pysup.supervisor.keeper import codec, handover, table
from pysup.supervisor.keeper.client.holdings import Holdings
from pysup.supervisor.keeper.client.processes import Entry, KeeperLost, Process, SpawnError
from pysup.supervisor.keeper.engine import ENGINE_ARGV
from pysup.supervisor.keeper.protocol import (
    Exited,
    Held,
    Hold,
    List,
    Listed,
    Message,
    Order,
    Ready,
    Reap,
    Release,
    Shutdown,
    Spawn,
    Spawned,
    SpawnFailed,
    Stop,
    Upgrade,
)
from pysup.supervisor.kernel import files
from pysup.supervisor.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from pysup.supervisor.keeper.client.inheritance import Packet


__all__ = ["Entry", "KeeperLost", "Link", "Process", "SpawnError", "become_keeper"]


class Link:
    """A connection to the keeper over a SOCK_SEQPACKET socket, which the link owns.

    ``said``: what the keeper has said on it already (inheritance.py).
    """

    def __init__(self, sock: socket.socket, said: Iterable[Packet] = ()) -> None:
        self._sock = sock
        self._sending = trio.Lock()
        self._listing = trio.Lock()
        self._spawning: dict[str, trio.Event] = {}
        self._answers: dict[str, Process | SpawnError] = {}
        self._listed: list[str] = []
        self._list_done = trio.Event()
        self._has = Holdings()
        self._ordered: set[str] = set()
        self._leaving = False
        self._lost = False
        self.stop_requested = trio.Event()
        """The daemon was told to end; ``stop_signal`` says by which signal."""
        self.stop_signal = 0
        for packet in said:
            self._on_message(*packet)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read what the keeper says, until after shutdown(). Raises KeeperLost, and ProtocolError for
        nonsense.
        """
        try:
            task_status.started()
            while (received := await self._receive()) is not None:
                self._on_message(*received)
            if not self._leaving:
                raise KeeperLost(self.known())
        finally:
            self._close_link()

    def _close_link(self) -> None:
        """Whoever waits for the keeper's word hears that there will be none."""
        self._lost = True
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()
        for key in list(self._spawning):
            self._answer(key, SpawnError("ask the keeper", errno.EPIPE))
        self._has.note_silence()

    async def _receive(self) -> tuple[Message, list[int]] | None:
        while True:
            try:
                return codec.receive(self._sock)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)

    def _on_message(self, message: Message, fds: list[int]) -> None:
        if isinstance(message, Spawned):
            self._answer(message.key, self._has.add(message.key, message.pid, fds[0]))
        elif isinstance(message, SpawnFailed):
            self._answer(message.key, SpawnError(message.step, message.errno, message.detail))
        elif isinstance(message, Exited):
            self._has.note_exit(message)
        elif isinstance(message, Held):
            self._listed.append(message.key)
            self._has.note_held(message, fds)
        elif isinstance(message, Listed):
            self._list_done.set()
        elif isinstance(message, Stop):
            self.stop_signal = message.signal
            self.stop_requested.set()
        else:
            codec.close_all(fds)

    def _answer(self, key: str, answer: Process | SpawnError) -> None:
        waiting = self._spawning.pop(key, None)
        if waiting is not None:
            self._answers[key] = answer
            waiting.set()

    async def _send(self, message: Message, fds: list[int] | None = None) -> None:
        """Send in order. A keeper that is gone is told of by run(), not here.

        Not cancellable, as half of what is sent is cleaning up; the keeper always reads.
        """
        if self._sending.locked() or not self._try_send(message, fds or []):
            with trio.CancelScope(shield=True):
                async with self._sending:
                    while not self._try_send(message, fds or []):
                        await trio.lowlevel.wait_writable(self._sock)

    def _try_send(self, message: Message, fds: list[int]) -> bool:
        """False if there is no room now; to a keeper that is gone everything is sent."""
        if self._lost:
            return True
        try:
            codec.send(self._sock, message, fds)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            return True
        return True

    async def spawn(self, message: Spawn, fds: dict[str, int], hold: dict[str, int]) -> None:
        """Ask for a child, with the descriptors that ``message.fds`` and ``message.hold`` name; spawned() is to follow.

        They stay the caller's. If this is cancelled, or raises, nothing was asked. Raises ValueError for a key that an
        answer is due to, ProtocolError for what does not fit in a message.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if message.key in self._spawning or message.key in self._answers:
            raise ValueError(f"a child is asked for already with the key {message.key}")
        self._spawning[message.key] = trio.Event()
        try:
            await self._send(
                message, [*map(fds.__getitem__, message.fds), *map(hold.__getitem__, message.hold)]
            )
        except BaseException:
            self._spawning.pop(message.key, None)
            raise

    async def spawned(self, key: str, hold: dict[str, int]) -> Process:
        """The child that was asked for. Raises SpawnError.

        What is held belongs to the link after this returns. Not cancellable: the answer is taken in any case, so that
        no child is overlooked.
        """
        if key in self._spawning and not self._lost:
            with trio.CancelScope(shield=True):
                await self._spawning[key].wait()
        made = self._answers.pop(key, None) or SpawnError("ask the keeper", errno.EPIPE)
        if isinstance(made, SpawnError):
            raise made
        made.fds.update(hold)
        return made

    async def order(self, order: Order, steps: bytes) -> None:
        """Have children kept ready that have done these steps (JSON) already; spawn() may name them as its stage."""
        self._ordered.add(order.key)
        document = files.memory_file("pysup-stage", steps)
        try:
            await self._send(order, [document])
        finally:
            os.close(document)

    def ordered(self, key: str) -> bool:
        """Whether there is a stage of this key."""
        return key in self._ordered

    async def entries(self) -> list[Entry]:
        """All that the keeper has: a question for the engine's start. Each is to be adopted: adopt(), adopt_held()."""
        async with self._listing:
            self._listed, self._list_done = [], trio.Event()
            await self._send(List())
            await self._list_done.wait()
            return list(map(self._has.entry, self._listed))

    def adopt(self, entry: Entry) -> Process:
        """Take over an entry with a process that an earlier engine had made. Its descriptors become the
        link's.
        """
        return self._has.adopt(entry)

    def adopt_held(self, entry: Entry) -> dict[str, int]:
        """Take over an entry without a process: its descriptors by name."""
        return self._has.adopt_held(entry)

    async def hold(self, key: str, named: dict[str, int]) -> None:
        """Have the keeper hold duplicates; the originals become the link's (see held())."""
        await self._send(Hold(key, list(named)), list(named.values()))
        self._has.hold(key, named)

    def held(self, key: str) -> dict[str, int]:
        """The descriptors that are held under a key, by name."""
        return self._has.held(key)

    def held_below(self, beginning: str) -> list[str]:
        """The keys that begin so, of what is held."""
        return self._has.held_below(beginning)

    async def release(self, key: str, names: list[str]) -> None:
        """Close descriptors here and at the keeper: the last copies of theirs, so a pipe ends."""
        self._has.release(key, names)
        await self._send(Release(key, names))

    async def reap(self, key: str) -> None:
        """The end was committed: let the zombie and all descriptors of the key go."""
        self._has.forget(key)
        await self._send(Reap(key))

    async def ready(self) -> None:
        """The socket is served: the keeper tells whoever started the daemon."""
        await self._send(Ready())

    async def upgrade(self) -> None:
        """Have the keeper execute its program anew; it kills this engine and starts another one."""
        await self._send(Upgrade())

    async def shutdown(self, code: int) -> None:
        """Have the keeper leave once this engine has ended."""
        self._leaving = True
        await self._send(Shutdown(code))

    def known(self) -> list[Entry]:
        """What this engine knows of the keeper's entries: enough to become the keeper."""
        return self._has.known()


def become_keeper(
    entries: list[Entry],
    settings: Settings,
    *,
    listen_fd: int,
    lock_fd: int,
    stop_signal: int,
    engine_argv: list[str] | None = None,
) -> NoReturn:
    """Replace this engine by a new keeper that holds these entries; it starts a new engine.

    ``stop_signal``: of a stop that the lost keeper had passed on (Link.stop_signal); 0: none.
    """
    kept = table.Table()
    for known in entries:
        entry = kept.entry(known.key)
        entry.pid, entry.pidfd, entry.status = known.pid, known.pidfd, known.status
        entry.fds = dict(known.fds)
    argv = engine_argv or ENGINE_ARGV
    handover.become_keeper(table.Handover(settings, argv, listen_fd, lock_fd, kept, stop_signal))
