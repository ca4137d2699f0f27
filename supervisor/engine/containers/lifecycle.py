"""What a container goes through: from the beginning of a run to its end, and to what follows it by itself."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, TypeVar

import trio

from pysup.store import runs
from pysup.store.errors import StoreError
from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers import commands, due, policy, turns
from pysup.supervisor.engine.containers.answers import Answers, taken
from pysup.supervisor.engine.containers.commands import Due, Exited, Failed, Probed, Ready
from pysup.supervisor.engine.containers.ending import Ending
from pysup.supervisor.engine.containers.health import UNHEALTHY, Health, judged
from pysup.supervisor.engine.containers.outcome import Outcome, outcome_of
from pysup.supervisor.engine.containers.owner import Owner
from pysup.supervisor.engine.containers.record import Change, Record, Told
from pysup.supervisor.engine.containers.removal import Removal
from pysup.supervisor.engine.containers.run import Run
from pysup.supervisor.engine.containers.sequel import sequel_of
from pysup.supervisor.engine.containers.states import Event, State
from pysup.supervisor.engine.parts import Parts

log = logging.getLogger(__name__)

KILL_GRACE = 10.0
"""Seconds after ``kill`` in which an exit still counts as caused by it."""

R = TypeVar("R", bound=Run)


class NextStep(NamedTuple):
    """What follows the end of a run: a part of the commit of that end, and then something to do."""

    change: Change
    take: Callable[[], Awaitable[None]]


class Lifecycle(Owner):
    """The only task that changes a container's state. Its news come from its own run; people's wishes: container.py."""

    def __init__(self, parts: Parts, record: Record, nursery: trio.Nursery) -> None:
        super().__init__(parts, record, nursery)
        self._answers = Answers()
        self._restarter = DAEMON
        self._killed_at = -math.inf

    # -- starting -------------------------------------------------------------------------------------------

    def _beginning(self, event: Event, cause: str, caller: Caller = DAEMON) -> Change:
        return turns.begun(self.record, event, cause, self._parts.now_ns(), caller)

    def _beginning_anew(self) -> Change:
        """In place of the run in progress, whose start was cut off."""
        cut_off = runs.get(self._parts.store.read(), self.record.id, self._run_in_progress.number)
        assert cut_off is not None  # noqa: S101 - it was committed when it was begun
        return turns.begun_anew(self.record, cut_off, self._parts.now_ns())

    async def _begin_surely(self, event: Event) -> None:
        await self._begin(partial(self._surely, self._beginning(event, "policy")))

    async def _begin(
        self, commit: Callable[[], Awaitable[None]], caller: Caller = DAEMON, *, is_restart: bool = False
    ) -> None:
        """Commit the next run's row. While the disk is waited for, the run prepares what needs no row."""
        self._run = self._new_run(Run, self.record.row.run_number + 1)
        self._run.started_for, self._run.is_restart = caller, is_restart
        self._children.start_soon(self._run.perform)
        try:
            await commit()
        except Exception:
            await self._run.revoke()
            self._run = None
            raise
        self._deadline = math.inf
        self._run.begun.set()

    async def _perform_next_run(self, caller: Caller = DAEMON, *, is_restart: bool = False) -> None:
        """Its row was committed with the end of the run before."""
        self._deadline = math.inf
        self._run = self._new_run(Run, self.record.row.run_number)
        self._run.started_for, self._run.is_restart = caller, is_restart
        self._run.begun.set()
        self._children.start_soon(self._run.perform)

    def _new_run(self, kind: type[R], number: int) -> R:
        return kind(
            self._parts, self.record, number=number, stdio=self.stdio, layers=self.layers, report=self.tell
        )

    async def _on_ready(self, _news: Ready) -> None:
        await self._surely(self._running())
        self._set_run_deadline()
        self._answers.started()
        await self._end_if_asked_meanwhile()

    def _running(self) -> Change:
        run = self._run_in_progress
        pid = 0 if run.process is None else run.process.pid
        actions = ("start", "restart") if run.is_restart else ("start",)
        told = tuple(Told(action, {}, run.started_for) for action in actions)
        return turns.running(self.record, pid, self._parts.now_ns(), told, run.sandbox.writes)

    async def _end_if_asked_meanwhile(self) -> None:
        """A stop or removal that came when the start could no longer be abandoned."""
        run = self._run_in_progress
        if self._answers.removers:
            await self._condemn(self._answers.removers[0].caller, self._surely)
            await run.end_by_force()
        elif run.ending.by in {"stop", "shutdown"}:
            await self._begin_end(run.ending, run.ended_for, self._surely)

    async def _on_probed(self, news: Probed) -> None:
        """A result may come late, when the run is over or somebody has paused it."""
        row, check = self.record.row, self.record.spec.health
        if self.record.state is not State.RUNNING or check is None:
            return
        before = Health(row.health, row.failing_streak, row.health_log)
        after = judged(before, news.probe, check, row.started_at or 0)
        changed = after.status != before.status
        told = (Told(f"health_status: {after.status}"),) if changed else ()
        await self._surely(Change(told=told, columns=after.columns()))
        if changed and after.status == UNHEALTHY:
            await self._end_unhealthy(check.on_failure)

    async def _end_unhealthy(self, how: str) -> None:
        """The restart policy decides what follows, as if it had failed by itself."""
        if how == "stop":
            await self._stop_run(commands.Stop(DAEMON, ended_by="unhealthy"), self._surely)
        elif how == "kill":
            await self._kill_run("unhealthy")

    # -- what is due ----------------------------------------------------------------------------------------

    async def _on_due(self, _news: Due) -> None:
        match self.record.state:
            case State.BACKOFF if not self._is_daemon_stopping:
                await self._begin_surely(Event.DUE)
            case State.STOPPING:
                if not await self._run_in_progress.end_by_force():
                    self._answers.not_ended(self._name)
            case State.RUNNING | State.PAUSED:
                await self._kill_run("timeout")
            case _:
                pass

    def _set_run_deadline(self) -> None:
        self._wait_for(self._until_too_long())

    def _set_kill_deadline(self) -> None:
        by_force = due.until_force(self._run_in_progress.ending, self._parts.now_ns())
        self._wait_for(min(by_force, self._until_too_long()))

    def _until_too_long(self) -> float:
        return due.until_too_long(self.record.row, self.record.spec, self._parts.now_ns())

    async def _wait_for_retry(self) -> None:
        """Where there is none, for nothing."""
        is_next = self.record.state is State.BACKOFF and not self._is_daemon_stopping
        self._wait_for(due.until_retry(self.record.row, self._parts.now_ns()) if is_next else math.inf)

    def _wait_for(self, seconds: float) -> None:
        self._deadline = trio.current_time() + seconds

    # -- stopping -------------------------------------------------------------------------------------------

    async def _kill_run(self, ended_by: str) -> None:
        """Without the stop signal before it, which a program may take for a wish."""
        at_once = commands.Stop(DAEMON, signal=signal.SIGKILL, timeout=0, ended_by=ended_by)
        await self._stop_run(at_once, self._surely)

    async def _stop_run(self, command: commands.Stop, commit: Callable[[Change], Awaitable[None]]) -> None:
        """Begin the end of the run; where that was begun already, the last wish and the sooner time count."""
        await self._begin_end(self._asked(command), command.caller, commit)

    def _asked(self, command: commands.Stop) -> Ending:
        return self._run_in_progress.ending.asked(command, self.record.spec, self._parts.now_ns())

    async def _begin_end(
        self, ending: Ending, caller: Caller, commit: Callable[[Change], Awaitable[None]]
    ) -> None:
        run = self._run_in_progress
        await commit(turns.stopping(self.record, ending, caller))
        run.ending, run.ended_for = ending, caller
        await run.thaw()  # a paused one could not take the signal
        run.signal(ending.signal)
        self._set_kill_deadline()

    async def _condemn(self, caller: Caller, commit: Callable[[Change], Awaitable[None]]) -> None:
        """Note that the run is killed, to be removed; if this engine dies before it has done so, the next one does."""
        run = self._run_in_progress
        ending = run.ending.removed()
        await commit(turns.killed(self.record, ending, caller))
        run.ending, run.ended_for, self._killed_at = ending, caller, trio.current_time()

    # -- the end --------------------------------------------------------------------------------------------

    async def _on_exited(self, news: Exited) -> None:
        await self._ended(Event.EXIT, outcome_of(news, self._run_in_progress.ending.by))

    async def _on_failed(self, news: Failed) -> None:
        outcome = Outcome.of_failure(news.error, ended_by=self._run_in_progress.ending.by)
        starters = taken(self._answers.starters) if outcome.ended_by != "restart" else []
        by_hand = bool(starters) and self._run_in_progress.started_for != DAEMON
        await self._ended(Event.FAILED, outcome, by_hand=by_hand)
        for reply in starters:
            reply.fail(news.error)

    async def _ended(self, event: Event, outcome: Outcome, *, by_hand: bool = False) -> None:
        """Commit the end of the run together with what follows from it, then let the run free what it has."""
        run, row, now = self._run_in_progress, self.record.row, self._parts.now_ns()
        outcome = outcome.judged(self._was_killed_by_hand(outcome))
        ask = not by_hand and not self._answers.removers
        sequel = sequel_of(outcome, row, self.record.spec, now, ask_policy=ask)
        ended = outcome.change(row, now, run.ended_for, turns.left(self.record))
        end = Change(passed=(event,)).then(ended).then(sequel)
        next_step = self._next_step(outcome, sequel, now)
        await self._surely(end.then(next_step.change))
        self._deadline = math.inf
        run.committed.set()
        await run.done.wait()
        self._run = None
        await next_step.take()
        self._answers.ended(self._name, self.record.state)

    def _was_killed_by_hand(self, outcome: Outcome) -> bool:
        return outcome.ended_by == "kill" and policy.ends_by_hand(
            self._run_in_progress.ending.signal,
            self.record.spec.stop_signal,
            exit_code=outcome.exit_code,
            elapsed=trio.current_time() - self._killed_at,
            grace=KILL_GRACE,
        )

    def _next_step(self, outcome: Outcome, sequel: Change, now_ns: int) -> NextStep:
        """What can be begun at once is committed with the end; a retry that is due now never sees the back-off."""
        restart, retry = outcome.ended_by == "restart", Event.RETRY in sequel.passed
        if self._answers.removers or (self.record.spec.auto_remove and not restart and not retry):
            removal = self._removal()
            return NextStep(removal.change, partial(self._finish_removal, removal))
        if outcome.begun_anew:
            return NextStep(self._beginning_anew(), self._perform_next_run)
        if restart:
            begin = self._beginning(Event.START, "manual", self._restarter)
            return NextStep(begin, partial(self._perform_next_run, self._restarter, is_restart=True))
        next_start = sequel.columns.get("next_start_at")
        if isinstance(next_start, int) and next_start <= now_ns and not self._is_daemon_stopping:
            return NextStep(self._beginning(Event.DUE, "policy"), self._perform_next_run)
        return NextStep(Change(), self._wait_for_retry)

    # -- removing -------------------------------------------------------------------------------------------

    def _removal(self) -> Removal:
        asked = self._answers.removers
        caller = asked[0].caller if asked else DAEMON
        volumes = any(command.volumes for command in asked)
        return Removal(self._parts, self.record, caller, volumes=volumes)

    async def _remove(self) -> None:
        removal = self._removal()
        try:
            await self.record.make(removal.change)
        except StoreError as error:
            self._answers.not_removed(error)
            log.error("%s", error)
        else:
            await self._finish_removal(removal)

    async def _finish_removal(self, removal: Removal) -> None:
        await removal.finish(self.stdio, self._nursery)
        self._answers.removed()
