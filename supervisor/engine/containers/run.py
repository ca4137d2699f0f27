"""One run of a container: everything it acquires, from the cgroup to the last log byte, and gives back.

The run is one task, a child of its container's. It owns no state of the container: it reports Ready, Failed or
Exited to the container's inbox and waits, before it reaps the zombie, until the end has been committed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack

import trio

from pysup.store.errors import StoreError
from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers.commands import Exited, Failed, News, Ready
from pysup.supervisor.engine.containers.ending import Ending
from pysup.supervisor.engine.containers.kept_layers import KeptLayers, close_all
from pysup.supervisor.engine.containers.launching import give_size, launch_run
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces, run_key
from pysup.supervisor.engine.containers.probing import Target, keep_probing
from pysup.supervisor.engine.containers.processes import Processes
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.staged_child import StagedChild, early_child
from pysup.supervisor.engine.containers.stdio import ContainerStdio
from pysup.supervisor.engine.networks.sandbox import Sandbox
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.together import together
from pysup.supervisor.engine.upper_layers import explained
from pysup.supervisor.errors import PysupError, StartEnded, StartFailed
from pysup.supervisor.keeper.client.link import Process
from pysup.supervisor.logs.order import Order
from pysup.supervisor.runtime import devices, host_devices, plan
from pysup.supervisor.runtime.cgroups.base import Cgroup
from pysup.supervisor.runtime.devices import HostNode
from pysup.supervisor.runtime.launch import Launched, Stdio

log = logging.getLogger(__name__)

SETUP_WITHIN = 1.0
"""Seconds that a process which was told to go may still be set up in, when its start is to be stopped."""


class Run(Processes):
    """A run in progress: what its container's task may ask of it while it lasts."""

    def __init__(
        self,
        parts: Parts,
        record: Record,
        *,
        number: int,
        stdio: ContainerStdio,
        layers: KeptLayers,
        report: Callable[[News], None],
    ) -> None:
        super().__init__(record)
        self.number = number
        self.ending = Ending()
        """As it is in the run's row."""
        self.started_for = self.ended_for = DAEMON
        """Who asked for its start, and for its end."""
        self.is_restart = False
        """Whether that was one: docker tells of it when it is done."""
        self.begun = trio.Event()
        """Set by the container's task when the run's row is in the store: there may be a process."""
        self.committed = trio.Event()
        """Set by the container's task when the end is in the store: the zombie may be reaped."""
        self.done = trio.Event()
        """Set when everything is freed."""
        self._parts = parts
        self._stdio = stdio
        self._layers = layers
        self._report = report
        self._order = Order(())
        self._whole = trio.CancelScope()
        self._starting = trio.CancelScope()
        self._launched: Launched | None = None
        self.sandbox = Sandbox(parts, record, number)

    @property
    def key(self) -> str:
        """The name of this run at the keeper."""
        return run_key(self._record.id, self.number)

    # -- the task --------------------------------------------------------------------------------------------

    async def perform(self) -> None:
        """Start the process, report Ready, supervise it to its end, report that, and free everything."""
        with self._whole:
            try:
                async with AsyncExitStack() as stack:
                    await self._start(stack)
                    self._report(Ready())
                    await self._supervise()
            except (PysupError, StoreError, OSError) as error:
                await self.begun.wait()
                self._stdio.run_ended()
                self._report(Failed(await explained(self._parts, self._what, self._told(error))))
        self.done.set()

    async def revoke(self) -> None:
        """Its row could not be committed: what was prepared is undone, and nothing reported."""
        self._whole.cancel()
        await self.done.wait()

    async def _start(self, stack: AsyncExitStack) -> None:
        with self._starting:
            spec = self._record.spec
            stack.push_async_callback(self.sandbox.close)
            if spec.cgroup_parent or spec.security.devices:
                # What a crash leaves there is found by the row alone; what is not there is told with the row's name.
                await self.begun.wait()
            found = host_devices.find(spec.security, self._what)
            async with early_child(self._parts, self._record, self.key, found) as early:
                rules = devices.cgroup_rules(spec.security, found)
                cgroup = self._parts.hierarchy.create(self._parent, self._record.id, spec.resources, rules)
                self.cgroup = cgroup
                stack.push_async_callback(self._remove_cgroup)
                await self.sandbox.prepare(self.begun)
                await self.begun.wait()
                self.process = await self._launch(cgroup, found, early, stack)
            stack.push_async_callback(self._parts.link.reap, self.key)
        if self._starting.cancelled_caught:
            raise self._why_abandoned()

    def _why_abandoned(self) -> PysupError:
        if self.ending.by == "shutdown":
            return StartFailed(self._what, StartEnded.step, 0, "the daemon is stopping")
        # A kill is that of a removal: no signal is sent to what is being started.
        how = "removed" if self.ending.by == "kill" else "stopped"
        return StartEnded(self._what, how, self.ended_for)

    async def _launch(
        self, cgroup: Cgroup, devices: tuple[HostNode, ...], early: StagedChild | None, stack: AsyncExitStack
    ) -> Process:
        taken = await self._layers.take()
        try:
            launched = self._launched = await launch_run(
                self._parts,
                self._record,
                key=self.key,
                cgroup=cgroup,
                devices=devices,
                kept=taken,
                early=early,
            )
            await self._let_go(launched, stack)
        except BaseException:
            with trio.CancelScope(shield=True):  # a mount can be taken into another process only once
                await self._layers.drop(taken)
            raise
        close_all(taken.values())  # the process has the same overlays: nothing is waited for
        return launched.process

    async def _let_go(self, launched: Launched, stack: AsyncExitStack) -> None:
        """Between clone and go: the keeper gets what outlives the run; the log is opened while the child works.

        Where nothing is to be done between set-up and program, the child does not wait for a word.
        """
        spec, lacking = self._record.spec, self._lacking()
        try:
            self._stdio.open_log()
            if not (lacking or spec.process.tty or self.sandbox.connects):
                self._look_at_outputs(launched, stack)
                launched.let_go()
            await self.sandbox.ready(launched)
            await self._keep(launched.give_kept())
            give_size(launched, spec.process)
            await self._held.hold(launched.process, lacking)
            if not launched.gone:
                self._look_at_outputs(launched, stack)
        except BaseException:
            await launched.abort()
            raise
        await launched.go()

    async def _keep(self, kept: dict[str, int]) -> None:
        """Overlays for the next run, and for as long as this one lasts what others may share."""
        lent = {name: kept.pop(name) for name in (plan.LENT,) if name in kept}
        self._layers.keep(kept)
        if lent:
            await self._parts.link.hold(self.key, lent)

    def _look_at_outputs(self, launched: Launched, stack: AsyncExitStack) -> None:
        """Before the program begins: what it writes first is then known."""
        self._order = stack.enter_context(Order(launched.stdio.outputs()))

    @property
    def _held(self) -> HeldNamespaces:
        return HeldNamespaces(self._parts.link, self._record.id)

    def _lacking(self) -> set[str]:
        """The namespaces that are to outlive the run and are not held yet."""
        spec = self._record.spec
        return set() if spec.auto_remove else {*plan.outliving(spec.namespaces)} - {*self._held.fds}

    async def _supervise(self) -> None:
        assert self.process is not None  # noqa: S101 - launched or adopted
        stdio = Stdio.of(self.process.fds)
        async with self._stdio.connected(stdio, self._order, self._close_stdin) as copy_rest:
            status = await self._watch(self.process)
            await self.kill_stragglers()
        copy_rest()
        await self._end(status)

    async def _watch(self, process: Process) -> int | None:
        """Look after its health until it has ended; how it did."""
        check = self._record.spec.health
        if check is None or self.cgroup is None:
            return await process.wait()
        target = Target(process, self.cgroup, self._standstill)
        async with together() as nursery:
            nursery.start_soon(keep_probing, self._parts, self._record, check, target, self._report)
            status = await process.wait()
            nursery.cancel_scope.cancel()
        return status

    async def _close_stdin(self) -> None:
        await self._parts.link.release(self.key, ["stdin"])

    async def _end(self, status: int | None) -> None:
        assert self.cgroup is not None  # noqa: S101 - made before the process
        await self._stdio.clients_returned()
        self._stdio.run_ended()
        if self._record.spec.auto_remove:
            await self._stdio.clients_served()
        self._report(Exited(status, self.cgroup.oom_kills() > 0, *self.cgroup.final_usage()))
        self.cgroup.remove_silent()
        await self.committed.wait()

    async def _remove_cgroup(self) -> None:
        assert self.cgroup is not None  # noqa: S101 - pushed after it was made
        if not self.committed.is_set() and self.cgroup.processes():
            return  # the engine leaves, and what nobody could kill stays
        cgroup, self.cgroup = self.cgroup, None
        try:
            with trio.CancelScope(shield=True):
                await cgroup.remove()
        except (OSError, PysupError) as error:  # the next start of the engine tries again
            log.warning("cannot remove the cgroup of %s: %s", self._what, error)

    @property
    def _parent(self) -> str:
        return self._record.spec.cgroup_parent or self._parts.settings.cgroup_root

    def _told(self, error: Exception) -> PysupError:
        if isinstance(error, PysupError):
            return error
        if isinstance(error, OSError):
            return StartFailed(self._what, f"prepare {error.filename or ''}".strip(), error.errno or 0)
        return StartFailed(self._what, "prepare", 0, str(error))

    # -- what the container's task may ask -------------------------------------------------------------------

    def abandon(self, ending: Ending, caller: Caller) -> None:
        """Stop a start in progress; it is reported as failed.

        Where the program may run already it gets the time to: it is then stopped as one that runs, by this ending.
        """
        self.ending, self.ended_for = ending, caller
        gone = self._launched is not None and self._launched.gone
        due = trio.current_time() + (SETUP_WITHIN if gone else 0.0)
        self._starting.deadline = min(self._starting.deadline, due)
