"""The processes of a run: the first one, and whatever else is in its cgroup. They are signalled, frozen and thawed."""

from __future__ import annotations

import logging
import signal

from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.standstill import Standstill
from pysup.supervisor.errors import PysupError
from pysup.supervisor.keeper.client.link import Process
from pysup.supervisor.runtime.cgroups.base import Cgroup

log = logging.getLogger(__name__)


class Processes:
    """There are none before the run has started them, or found those that an earlier engine has started."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self.process: Process | None = None
        self.cgroup: Cgroup | None = None
        self._standstill = Standstill()

    @property
    def _what(self) -> str:
        return f"container {self._record.row.name}"

    @property
    def ended(self) -> bool:
        """Whether the first one has ended: what is left of the run is being removed, whatever its row says still."""
        return self.process is not None and self.process.status is not None

    def signal(self, number: int) -> None:
        """Signal the first process; nothing happens if it has ended."""
        if self.process is not None:
            self.process.kill(number)

    async def kill_all(self) -> None:
        """SIGKILL for every process of the cgroup, frozen ones too."""
        self.signal(signal.SIGKILL)
        if self.cgroup is not None:
            await self.cgroup.kill(signal.SIGKILL)

    async def end_by_force(self) -> bool:
        """kill_all(), where nobody waits to hear that it cannot be; whether nothing is left.

        What the kernel cannot end now, in the hands of a disk or of a server that does not answer, has the signal, and
        ends later.
        """
        try:
            await self.kill_all()
        except (OSError, PysupError) as error:
            log.warning("%s: %s", self._what, error)
            return False
        return True

    async def freeze(self) -> None:
        """Stop all its processes where they are. Raises Unavailable, Conflict: none of them is stopped."""
        if self.cgroup is not None:
            self._standstill.begin()
            try:
                await self.cgroup.freeze()
            except PysupError:
                self._standstill.end()
                raise

    async def thaw(self) -> None:
        """Let them go on."""
        if self.cgroup is not None:
            await self.cgroup.thaw()
            self._standstill.end()

    async def kill_stragglers(self) -> None:
        """Whoever is left in the cgroup (an exec, a child with --pid host) ends with the first process."""
        if self.cgroup is not None and self.cgroup.processes():
            await self.end_by_force()
