"""One container: the only task that changes its state, and the only method that does so (Record.step).

Everything that can happen to it, a command or news of its own run, comes through its inbox (actor.py), one at a
time: so there is no lock, and no flag beside the state. A container that rests, with nobody attached, has no task.
"""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from pysup.store.errors import NameTaken, StoreError
from pysup.supervisor.engine.containers import commands, turns
from pysup.supervisor.engine.containers.actor import Message
from pysup.supervisor.engine.containers.adopted_run import AdoptedRun
from pysup.supervisor.engine.containers.commands import Command, Due, Exited, Failed, Probed, Ready, Reply
from pysup.supervisor.engine.containers.lifecycle import Lifecycle
from pysup.supervisor.engine.containers.record import NOTHING, Change, Columns, Told
from pysup.supervisor.engine.containers.sequel import BY_HAND, reconsidered
from pysup.supervisor.engine.containers.states import ALIVE, RESTING, Event, State
from pysup.supervisor.engine.containers.updates import apply_update
from pysup.supervisor.engine.networks.hot_plugging import connect, disconnect, unlink
from pysup.supervisor.errors import Conflict, NotFound, NotModified, PysupError, Unavailable
from pysup.supervisor.keeper.client.link import Entry

log = logging.getLogger(__name__)


class Container(Lifecycle):
    """The owner of one container's state. Talk to it by ask(); read its row from the store."""

    def adopt(self, entry: Entry | None) -> None:
        """Carry on, after the engine was started anew, with what the keeper has of the last run."""
        run = self._run = self._new_run(AdoptedRun, self.record.row.run_number)
        self._killed_at = trio.current_time()
        self._begin_task(partial(self._adopted, run, entry))

    def resume(self) -> None:
        """Carry on without a run: in back-off, or at rest with something still to do."""
        self._begin_task(self._resumed)

    async def _adopted(self, run: AdoptedRun, entry: Entry | None) -> None:
        run.find(entry)
        was_starting = self.record.state is State.STARTING
        self._children.start_soon(partial(run.carry_on, entry, was_starting=was_starting))
        match self.record.state:
            case State.STOPPING:
                run.signal(run.ending.signal or self.record.spec.stop_signal)
                self._set_kill_deadline()
            case State.RUNNING | State.PAUSED if run.ending.signal == signal.SIGKILL:
                await run.end_by_force()  # a kill, or a removal, was noted and perhaps not carried out
            case State.PAUSED:
                await run.freeze()
                self._set_run_deadline()
            case State.RUNNING:
                await run.thaw()
                self._set_run_deadline()
            case _:
                pass

    async def _resumed(self) -> None:
        """In back-off; or at rest, where an earlier engine had no time for what was to follow."""
        if self.record.state is State.BACKOFF:
            await self._wait_for_retry()
        elif self.record.row.desired == "run" and not self._is_daemon_stopping:
            await self._begin_surely(Event.START)
        elif self.record.spec.auto_remove:
            await self._remove()

    # -- messages -------------------------------------------------------------------------------------------

    async def _take(self, message: Message) -> None:
        handler = HANDLERS[type(message)]
        if not isinstance(message, Command):
            await handler(self, message)
            return
        try:
            self._refuse_if_removed()
            await handler(self, message)
        except (PysupError, StoreError, NameTaken, OSError) as error:
            message.reply.fail(error)

    def _refuse_if_removed(self) -> None:
        """Whoever asked had found the row just before it went."""
        if self.record.state is State.REMOVED:
            raise NotFound(f"cannot find container {self._name}: No such container: {self._name}")

    # -- starting and stopping ------------------------------------------------------------------------------

    async def _on_start(self, command: commands.Start) -> None:
        if self._is_followed(command.run):
            return self._tell_how_it_began(command.reply)
        self._refuse_if_paused("start")
        if self.record.state in ALIVE:
            raise NotModified(f"cannot start container {self._name}: it is already started")
        if self._is_daemon_stopping:
            raise Unavailable(f"cannot start container {self._name}: the daemon is stopping")
        beginning = self._beginning(Event.START, command.cause, command.caller)
        creation = command.creation or Change()
        commit = partial(self.record.make, creation.then(beginning))
        await self._begin(commit, command.caller, is_restart=command.is_restart)
        self._answers.starters.append(command.reply)
        return None

    def _is_followed(self, run: int | None) -> bool:
        """Whether the start after this run was begun, by an earlier engine that was asked for it."""
        return run is not None and self.record.row.run_number > run

    def _tell_how_it_began(self, reply: Reply) -> None:
        """Once that is known."""
        row = self.record.row
        if self.record.state is State.STARTING:
            self._answers.starters.append(reply)
        elif row.failed_step:
            reply.fail(Unavailable(row.error))
        else:
            reply.settle()

    async def _on_stop(self, command: commands.Stop) -> None:
        match self.record.state:
            case State.BACKOFF:
                by_hand = command.ended_by == "stop"
                told = Told("stop", {}, command.caller)
                await self._cancel_back_off(told, columns=BY_HAND if by_hand else NOTHING)
                if by_hand and self.record.spec.auto_remove:
                    await self._remove()
                command.reply.settle()
            case State.STARTING:
                self._run_in_progress.abandon(self._asked(command), command.caller)
                self._answers.await_end(command)
            case State.RUNNING | State.PAUSED | State.STOPPING:
                await self._stop_run(command, self.record.make)
                self._answers.await_end(command)
            case _:
                raise NotModified(f"cannot stop container {self._name}: it is not running")

    async def _on_restart(self, command: commands.Restart) -> None:
        match self.record.state:
            case State.STARTING:
                self._answers.starters.append(command.reply)
            case _ if self._is_followed(command.run):
                self._tell_how_it_began(command.reply)
            case State.RUNNING | State.PAUSED | State.STOPPING:
                await self._stop_run(command, self.record.make)
                self._restarter = command.caller
                self._answers.starters.append(command.reply)
            case _:
                await self._on_start(commands.Start(command.caller, reply=command.reply, is_restart=True))

    async def _cancel_back_off(self, *told: Told, columns: Columns = NOTHING) -> None:
        columns = {"next_start_at": None, **columns}
        await self.record.step(Event.STOP, told=told, columns=columns)
        self._deadline = math.inf

    async def _on_kill(self, command: commands.Kill) -> None:
        if self.record.state not in ALIVE or self.record.state is State.STARTING:
            raise Conflict(f"cannot kill container {self._name}: it is not running")
        run, sent = self._run_in_progress, command.signal
        ending = run.ending.killed(sent, self.record.spec)
        also = None if ending is run.ending else turns.of_run(self.record, **ending.columns())
        await self.record.note([Told("kill", {"signal": str(sent)}, command.caller)], also=also)
        if ending is not run.ending:
            run.ending, run.ended_for, self._killed_at = ending, command.caller, trio.current_time()
        if sent == signal.SIGKILL:  # answered when it has ended, as by docker
            await run.kill_all()
            self._answers.stoppers.append(command.reply)
        else:
            run.signal(sent)
            command.reply.settle()

    # -- pausing --------------------------------------------------------------------------------------------

    async def _on_pause(self, command: commands.Pause) -> None:
        if self.record.state is not State.RUNNING:
            raise Conflict(f"cannot pause container {self._name}: it is {self.record.state}")
        await self._run_in_progress.freeze()
        await self.record.step(Event.PAUSE, told=[Told("pause", {}, command.caller)])
        command.reply.settle()

    async def _on_unpause(self, command: commands.Unpause) -> None:
        if self.record.state is not State.PAUSED:
            raise Conflict(f"cannot unpause container {self._name}: it is not paused")
        await self._run_in_progress.thaw()
        await self.record.step(Event.RESUME, told=[Told("unpause", {}, command.caller)])
        command.reply.settle()

    async def _on_hold(self, command: commands.Hold) -> None:
        """No change of state: an engine that dies meanwhile is followed by one that thaws what runs."""
        if self.record.state is State.RUNNING and self._holders == 0:
            await self._run_in_progress.freeze()
        self._holders += 1
        command.reply.settle()

    async def _on_release(self, command: commands.Release) -> None:
        self._holders -= 1
        if self.record.state is State.RUNNING and self._holders == 0:
            await self._run_in_progress.thaw()
        command.reply.settle()

    def _refuse_if_paused(self, verb: str) -> None:
        if self.record.state is State.PAUSED:
            raise Conflict(f"cannot {verb} container {self._name}: it is paused; unpause it")

    # -- changing and removing ------------------------------------------------------------------------------

    async def _on_rename(self, command: commands.Rename) -> None:
        old = self._name
        attributes = {"oldName": old, "name": command.name}
        try:
            await self.record.note(
                [Told("rename", attributes, command.caller)], columns={"name": command.name}
            )
        except NameTaken as error:
            raise Conflict(f"cannot rename container {old}: {error}") from error
        if self._run is not None:
            self._run.sandbox.renamed()
        command.reply.settle()

    async def _on_update(self, command: commands.Update) -> None:
        before = self.record.spec.restart
        warnings = await apply_update(self._parts, self.record, self._run, command)
        if self.record.state is State.BACKOFF:
            await self.record.make(
                reconsidered(self.record.row, before, self.record.spec, self._parts.now_ns())
            )
            await self._wait_for_retry()
        elif self.record.state in {State.RUNNING, State.PAUSED}:
            self._set_run_deadline()
        command.reply.settle(warnings)

    async def _on_connect(self, command: commands.Connect) -> None:
        await connect(self._parts, self.record, self._run, command)
        command.reply.settle()

    async def _on_disconnect(self, command: commands.Disconnect) -> None:
        await disconnect(self._parts, self.record, self._run, command)
        command.reply.settle()

    async def _on_unlink(self, command: commands.Unlink) -> None:
        await unlink(self._parts, self.record, self._run, command)
        command.reply.settle()

    async def _on_remove(self, command: commands.Remove) -> None:
        state = self.record.state
        if state not in RESTING and not command.force:
            raise Conflict(
                f"cannot remove container {self._name}: container is {state}: "
                "stop the container before removing or force remove"
            )
        if state is State.BACKOFF:
            await self._cancel_back_off()
        if self.record.state in RESTING:
            self._answers.removers.append(command)
            return await self._remove()
        run = self._run_in_progress
        if state is State.STARTING:
            self._answers.removers.append(command)
            self._killed_at = trio.current_time()
            run.abandon(run.ending.removed(), command.caller)
            return None
        await self._condemn(command.caller, self.record.make)
        self._answers.removers.append(command)
        await run.kill_all()
        return None


HANDLERS: dict[type, Callable[[Container, Any], Awaitable[None]]] = {
    commands.Start: Container._on_start,
    commands.Stop: Container._on_stop,
    commands.Restart: Container._on_restart,
    commands.Kill: Container._on_kill,
    commands.Pause: Container._on_pause,
    commands.Unpause: Container._on_unpause,
    commands.Hold: Container._on_hold,
    commands.Release: Container._on_release,
    commands.Rename: Container._on_rename,
    commands.Update: Container._on_update,
    commands.Connect: Container._on_connect,
    commands.Disconnect: Container._on_disconnect,
    commands.Unlink: Container._on_unlink,
    commands.Remove: Container._on_remove,
    Ready: Container._on_ready,
    Failed: Container._on_failed,
    Exited: Container._on_exited,
    Due: Container._on_due,
    Probed: Container._on_probed,
}
