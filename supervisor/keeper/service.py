"""What the keeper does for an engine: make children, keep descriptors, remember how processes ended."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from pysup.supervisor.keeper import births, codec, exits, fork
from pysup.supervisor.keeper.births import Birth, Births
from pysup.supervisor.keeper.poller import Poller
from pysup.supervisor.keeper.protocol import (
    Exited,
    Held,
    Hold,
    List,
    Listed,
    Message,
    Order,
    Reap,
    Release,
    Spawn,
    Spawned,
    SpawnFailed,
)
from pysup.supervisor.keeper.stock import Stock
from pysup.supervisor.keeper.table import Entry, Table
from pysup.supervisor.kernel import process

Answer = Callable[[Message, Sequence[int]], None]


class Service:
    """Owns the table's entries. ``answer`` sends to whichever engine runs, or to nobody."""

    def __init__(self, table: Table, poller: Poller, answer: Answer) -> None:
        self._table = table
        self._poller = poller
        self._answer = answer
        self._home = fork.own_pid_namespace()
        self.stock = Stock(poller)
        self.births = Births(poller, self._born)

    def resume(self) -> None:
        """Watch the processes that an earlier program of the keeper left in the table."""
        for entry in self._table:
            if entry.pid and entry.status is None:
                self._watch(entry)

    def handle(self, message: Message, fds: list[int]) -> bool:
        """Do what a message asks; False if it is none of these. Every descriptor is kept or closed."""
        if isinstance(message, Spawn):
            self._spawn(message, fds)
        elif isinstance(message, Order):
            self.stock.order(message, fds[0])
        elif isinstance(message, Hold):
            self._table.entry(message.key).hold(dict(zip(message.names, fds, strict=True)))
        elif isinstance(message, Release):
            self._release(message)
        elif isinstance(message, Reap):
            self._reap(message.key)
        elif isinstance(message, List):
            self._list()
        else:
            return False
        return True

    def _spawn(self, message: Spawn, fds: list[int]) -> None:
        """Make the child, or have it made; what was for the child only is closed here in any case."""
        given = dict(zip(message.fds, fds[: len(message.fds)], strict=True))
        hold = dict(zip(message.hold, fds[len(message.fds) :], strict=True))
        try:
            self._refuse_second(message.key)
            first = self.stock.steps(message.stage)
            if births.needs_helper(message):
                self.births.begin(message, given, hold, first)
            else:
                made = self.stock.take(message, given) or fork.fork(message, given, self._home, first)
                self._add(message.key, made, hold)
        except fork.Refused as refused:
            self._refuse(message.key, refused, hold)
        finally:
            codec.close_all(list(given.values()))

    def _born(self, birth: Birth, made: fork.Forked | fork.Refused) -> None:
        """What came of a birth with a helper."""
        if isinstance(made, fork.Refused):
            self._refuse(birth.key, made, birth.hold)
        else:
            self._add(birth.key, made, birth.hold)

    def _add(self, key: str, made: fork.Forked, hold: dict[str, int]) -> None:
        entry = self._table.entry(key)
        entry.pid, entry.pidfd = made
        entry.hold(hold)
        self._watch(entry)
        self._answer(Spawned(key, made.pid), [made.pidfd])

    def _refuse(self, key: str, refused: fork.Refused, hold: dict[str, int]) -> None:
        codec.close_all(list(hold.values()))
        self._answer(SpawnFailed(key, refused.step, refused.number, refused.detail), ())

    def _refuse_second(self, key: str) -> None:
        entry = self._table.get(key)
        if key in self.births or (entry is not None and entry.pid):
            raise fork.Refused("use a key twice", errno.EEXIST)

    def _watch(self, entry: Entry) -> None:
        self._poller.watch(entry.pidfd, lambda: self._note_end(entry))

    def _note_end(self, entry: Entry) -> None:
        """The process ended: keep its status (and the zombie, and with it the pid) until Reap."""
        status = exits.exit_status(entry.pid, entry.pidfd)
        if status is None:
            return
        self._poller.unwatch(entry.pidfd)
        entry.status = status
        self._answer(Exited(entry.key, status), ())

    def _reap(self, key: str) -> None:
        """Forget an entry. One whose process runs is kept: only an end can be committed."""
        entry = self._table.get(key)
        if entry is None or (entry.pid and entry.status is None):
            return
        if entry.pid:
            process.reap_if_ours(entry.pidfd)
        self._table.forget(key)
        self.stock.hurry()

    def _release(self, message: Release) -> None:
        entry = self._table.get(message.key)
        if entry is None:
            return
        for name in message.names:
            entry.release(name)
        if entry.empty:
            self._table.forget(message.key)

    def _list(self) -> None:
        for entry in self._table:
            held = Held(entry.key, entry.pid, entry.status, list(entry.fds))
            self._answer(held, entry.descriptors())
        self._answer(Listed(), ())
