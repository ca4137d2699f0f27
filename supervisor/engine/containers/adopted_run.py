"""A run that an earlier engine has started: what that one has left is found, and carried on with."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from functools import partial

from pysup.store import runs
from pysup.supervisor.engine.containers.commands import Failed, Ready
from pysup.supervisor.engine.containers.ending import Ending
from pysup.supervisor.engine.containers.run import Run
from pysup.supervisor.engine.together import together
from pysup.supervisor.errors import PysupError, StartEnded, StartFailed
from pysup.supervisor.keeper.client.link import Entry
from pysup.supervisor.keeper.steps.context import ENGINE_IS_GONE
from pysup.supervisor.logs.order import Order
from pysup.supervisor.runtime import proc
from pysup.supervisor.runtime.launch import Stdio


class AdoptedRun(Run):
    """First find(), then carry_on(), which is its perform()."""

    def find(self, entry: Entry | None) -> None:
        """What is left of it, and what end it was to have: from here on it can be frozen, thawed and signalled.

        None: the keeper knows nothing of it.
        """
        self.ending = Ending.of_row(runs.get(self._parts.store.read(), self._record.id, self.number))
        self.cgroup = self._parts.hierarchy.open(self._parent, self._record.id)
        if entry is not None:
            self.process = self._parts.link.adopt(entry)

    async def carry_on(self, entry: Entry | None, *, was_starting: bool) -> None:
        """Supervise it to its end, report that, and free everything; first Ready, if it was being started."""
        self._stdio.taken_over()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._remove_cgroup)
            stack.push_async_callback(self.sandbox.close)
            if self.process is not None:
                stack.push_async_callback(self._parts.link.reap, self.key)
                self._order = stack.enter_context(Order(Stdio.of(self.process.fds).outputs()))
            if was_starting and await self._was_cut_off(entry):
                await self._start_anew()
            elif self.process is None:  # with the keeper went the parent of the processes, but not they
                await self.kill_stragglers()
                await self._end(None)
            else:
                await self._go_on(was_starting=was_starting)
        self.done.set()

    async def _was_cut_off(self, entry: Entry | None) -> bool:
        """Whether the engine died before it let the process of a start go (it ends by itself then).

        The kernel knows whether the program was executed, also of a zombie. Of a process that nobody can look at
        any more, as it went with its keeper, the exit code tells, and a program may have the same one; if that went,
        too, it most likely saw the same end as they did.
        """
        if entry is None or self.process is None:
            return True
        found = proc.standing(entry.pid)
        if found is not None and (entry.status is None or found.parent == os.getppid()):
            return not found.executed
        status = await self.process.wait()
        return status is None or os.waitstatus_to_exitcode(status) == ENGINE_IS_GONE

    async def _go_on(self, *, was_starting: bool) -> None:
        """The output flows while the network is taken over; but what is to be noted of it is there before Ready."""
        async with together() as nursery:
            if was_starting:
                await self.sandbox.adopt(anew=True)
                self._report(Ready())
            else:
                nursery.start_soon(partial(self.sandbox.adopt, anew=False))
            await self._supervise()

    async def _start_anew(self) -> None:
        """The child saw that its engine was gone, and left; the start is made anew, as if asked for again.

        Who is attached to it is attached to what comes in its place.
        """
        await self.end_by_force()
        if self.process is not None:
            await self.process.wait()
        if self.ending.by == "itself":
            self.ending = Ending("shutdown" if self._parts.link.stop_requested.is_set() else "restart")
            error: PysupError = StartFailed(self._what, StartEnded.step, 0, "the engine died meanwhile")
        else:  # somebody has asked for its end while this was found out
            error = self._why_abandoned()
        self._report(Failed(error))
        await self.committed.wait()
