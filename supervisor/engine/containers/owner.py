"""What the owner of a container's state has in its hands, and when it may rest, which ends its task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import trio

from pysup.supervisor.engine.containers.actor import Actor
from pysup.supervisor.engine.containers.kept_layers import KeptLayers
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.record import Change, Record, Told
from pysup.supervisor.engine.containers.run import Run
from pysup.supervisor.engine.containers.states import RESTING, State
from pysup.supervisor.engine.containers.stdio import ContainerStdio
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.surely import surely


class Owner(Actor):
    """Has the row, the streams, the overlays between two runs, and the run in progress."""

    def __init__(self, parts: Parts, record: Record, nursery: trio.Nursery) -> None:
        super().__init__(nursery, f"container {record.row.name}")
        self.record = record
        self.stdio = ContainerStdio(parts, record, self._on_detached)
        self.layers = KeptLayers()
        self._parts = parts
        self._run: Run | None = None
        self._holders = 0
        """Who has its processes stand still."""
        self._lookers = 0

    @property
    def run(self) -> Run | None:
        """The run in progress."""
        return self._run

    @property
    def _run_in_progress(self) -> Run:
        assert self._run is not None  # noqa: S101 - the states that ask for it have one
        return self._run

    @property
    def _name(self) -> str:
        return self.record.row.name

    @property
    def _is_daemon_stopping(self) -> bool:
        """Then no run begins: it would be left to nobody. The next daemon sees to what is wanted to run."""
        return self._parts.link.stop_requested.is_set()

    async def _surely(self, change: Change) -> None:
        await surely(f"container {self._name}", partial(self.record.make, change))

    # -- rest -----------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether there is a reason for this object to exist: a task, somebody attached, or who looks at its files."""
        return self._live or self.stdio.attached > 0 or self.layers.held or self._holders + self._lookers > 0

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """While somebody looks at its files, what is mounted of them stays for the next run."""
        self._lookers += 1
        try:
            yield
        finally:
            self._lookers -= 1
            if self._run is None and self.record.state in {*RESTING, State.REMOVED}:
                self._let_layers_go()

    def _let_layers_go(self) -> None:
        if self._lookers == 0:
            self.layers.let_go(self._nursery)

    def _on_detached(self) -> None:
        """A client left: it may have been the last reason not to rest."""
        if self._live:
            self.tell(None)
        elif not self.stdio.awaited:
            self.stdio.close()

    def _at_rest(self) -> bool:
        return self._run is None and self.record.state in RESTING and not self.stdio.awaited

    async def _rest(self) -> None:
        """Followers of the log and sharers of namespaces are let go."""
        self.stdio.close()
        await HeldNamespaces(self._parts.link, self.record.id).release()
        self._let_layers_go()
        self.record.publish(Told("rest"))
