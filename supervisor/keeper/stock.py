"""Children made ahead: they have their namespaces and a stage with /proc, /dev and /sys, and wait for a container.

A container that needs just that is started in half the time. What a child was made from may change while it waits:
its mount namespace is a copy of the host's, so when a mount of the host changes, all of them are let go.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import time
from collections.abc import Callable, Iterator

from pysup.supervisor.keeper import fork
from pysup.supervisor.keeper.fork import Forked
from pysup.supervisor.keeper.poller import Poller
from pysup.supervisor.keeper.protocol import Order, Spawn
from pysup.supervisor.keeper.steps import Step
from pysup.supervisor.kernel import process

REFILL_AFTER = 0.02
"""Seconds after a start: the next child is not to take the CPU from the one that is being started."""
SEVERAL = 2
"""Children that are worth a row of forks."""
ALONE_AFTER = 0.25
"""Seconds after which one that is not worth it is made all the same: if more starts come soon, it waits for company."""
SETTLED_AFTER = 0.25
"""Seconds after a change of the host's mounts, which often come in rows."""
KILLED_AFTER = 5.0
"""Seconds after a child was killed: whoever did that (the kernel, for memory) may do it again."""

Loss = Callable[[int], None]


class Shelf:
    """The children of one stage. ``lost`` is told the status (as from waitpid(2)) of each that ends on the shelf."""

    def __init__(self, order: Order, steps: list[Step], poller: Poller, lost: Loss) -> None:
        self.order = order
        self.steps = steps
        self.spares: list[fork.Spare] = []
        self._poller = poller
        self._lost = lost

    @property
    def lacks(self) -> int:
        """How many fewer there are than were ordered."""
        return self.order.ahead - len(self.spares)

    @property
    def pays(self) -> bool:
        """Whether so many lack that it is worth to fill it."""
        return self.lacks >= min(SEVERAL, self.order.ahead)

    def fill(self) -> None:
        """Make those that lack, in a row: what this process then writes to is copied once for all of them (fork(2))."""
        for _ in range(self.lacks):
            self._put(fork.ahead(self.order.flags, self.steps))

    def _put(self, spare: fork.Spare) -> None:
        self.spares.append(spare)
        self._poller.watch(spare.made.pidfd, lambda: self._note_end(spare))

    def _note_end(self, spare: fork.Spare) -> None:
        """One that was taken meanwhile, or let go, is not ours to look after."""
        if spare in self.spares and not process.pidfd_alive(spare.made.pidfd):
            status = process.waitid_pidfd(spare.made.pidfd, reap=False) or 0
            self._take(self.spares.index(spare)).close()
            self._lost(status)

    def _take(self, number: int) -> fork.Spare:
        spare = self.spares.pop(number)
        self._poller.unwatch(spare.made.pidfd)
        return spare

    def taken(self) -> Iterator[fork.Spare]:
        """Children from the shelf, the oldest first, one at a time."""
        while self.spares:
            yield self._take(0)

    def clear(self) -> None:
        """Let all of them go."""
        while self.spares:
            self._take(-1).close()


class Stock:
    """All shelves. Nothing of it outlives the keeper's program."""

    def __init__(self, poller: Poller) -> None:
        self._shelves: dict[str, Shelf] = {}
        self._poller = poller
        self._mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self.due: float | None = None
        """When refill() is to be called next (time.monotonic()); None: nothing lacks."""
        self._changes = select.poll()
        self._changes.register(self._mounts, select.POLLPRI)
        poller.watch_changes(self._mounts, self._on_mounts_changed)

    def order(self, order: Order, document: int) -> None:
        """Keep ``ahead`` children of a stage from now on; ``document`` has its steps, and is closed."""
        with open(document, "rb") as file:
            steps = json.load(file)
        shelf = self._shelves.pop(order.key, None)
        if shelf is not None:
            shelf.clear()
        self._shelves[order.key] = Shelf(order, steps, self._poller, self._on_lost)
        self._refill_soon()

    def steps(self, key: str) -> list[Step]:
        """What a child of this stage does first. Raises Refused if it was never ordered."""
        if not key:
            return []
        if key not in self._shelves:
            raise fork.Refused("find the stage", errno.ENOENT)
        return self._shelves[key].steps

    def take(self, message: Spawn, fds: dict[str, int]) -> Forked | None:
        """Give what a spawn brings to a child that waits; None if there is none.

        A change of the mounts may be known to the kernel and not yet to the poller, whose turn comes later.
        """
        shelf = self._shelves.get(message.stage)
        if shelf is None:
            return None
        if self._changes.poll(0):
            self._on_mounts_changed()
        made = next((spare.made for spare in shelf.taken() if spare.give(fds)), None)
        self._refill_soon()
        return made

    def refill(self) -> None:
        """Fill the shelf on which most children lack."""
        self.due = None
        shelf = max(self._shelves.values(), key=lambda shelf: shelf.lacks, default=None)
        if shelf is not None and shelf.lacks:
            with contextlib.suppress(fork.Refused, OSError):  # a start will tell why
                shelf.fill()
                self._refill_soon()

    def hurry(self) -> None:
        """A start is over: a shelf that is nearly empty may be filled now."""
        if self.due is not None and self._pays:
            self.due = time.monotonic()

    def pids(self) -> set[int]:
        """Those who wait, and those who have ended while they did: nobody else reaps them."""
        return {spare.made.pid for shelf in self._shelves.values() for spare in shelf.spares}

    def clear(self) -> None:
        """End every child: before the keeper leaves, or executes another program."""
        for shelf in self._shelves.values():
            shelf.clear()

    @property
    def _pays(self) -> bool:
        return any(shelf.pays for shelf in self._shelves.values())

    def _refill_soon(self) -> None:
        self._refill_in(REFILL_AFTER if self._pays else ALONE_AFTER)

    def _refill_in(self, seconds: float) -> None:
        self.due = time.monotonic() + seconds

    def _on_lost(self, status: int) -> None:
        """One that has left by itself could not make its stage: nor can the next one, and a start will tell why."""
        if os.WIFSIGNALED(status) and self.due is None:
            self._refill_in(KILLED_AFTER)

    def _on_mounts_changed(self) -> None:
        self.clear()
        self._refill_in(SETTLED_AFTER)
