"""What a container goes through: from the beginning of a run to its end, and to what follows it by itself."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, TypeVar

import trio

from pysup.store import runs
from pysup.store.errors import StoreError
from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers import commands, policy
from pysup.supervisor.engine.containers.actor import Actor
from pysup.supervisor.engine.containers.commands import Due, Exited, Failed, Probed, Ready, Reply
from pysup.supervisor.engine.containers.ending import Ending
from pysup.supervisor.engine.containers.health import STARTING, UNHEALTHY, Health, judged
from pysup.supervisor.engine.containers.kept_layers import KeptLayers
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.outcome import Outcome, outcome_of
from pysup.supervisor.engine.containers.record import Change, Columns, Record, Told, Write
from pysup.supervisor.engine.containers.removal import Removal
from pysup.supervisor.engine.containers.run import Run
from pysup.supervisor.engine.containers.sequel import BY_HAND, NOT_BY_HAND, sequel_of
from pysup.supervisor.engine.containers.states import ALIVE, RESTING, Event, State
from pysup.supervisor.engine.containers.stdio import ContainerStdio
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.surely import surely
from pysup.supervisor.engine.volumes.uses import tell_of
from pysup.supervisor.errors import Conflict, Unavailable

log = logging.getLogger(__name__)

KILL_GRACE = 10.0
"""Seconds after ``kill`` in which an exit still counts as caused by it."""

BEGUN: Columns = {
    "desired": "run",
    "stopped_by_hand": 0,
    "next_start_at": None,
    "gave_up_reason": None,
    "error": "",
    "failed_step": "",
    "oom_killed": 0,
}
BEGUN_BY = {"policy": "restart policy", "boot": "daemon start"}
"""What stands where the name of who asked would, by the cause of a run that nobody asked for."""
FIRST_OF_A_SERIES: Columns = {"retries": 0, "last_delay": 0.0, "recent_restarts": ()}
"""A start by hand or by the daemon forgets the retries before it."""

T = TypeVar("T")


class NextStep(NamedTuple):
    """What follows the end of a run: a part of the commit of that end, and then something to do."""

    change: Change
    take: Callable[[], Awaitable[None]]


class Lifecycle(Actor):
    """The only task that changes a container's state. Its news come from its own run; people's wishes: container.py."""

    def __init__(self, parts: Parts, record: Record, nursery: trio.Nursery) -> None:
        super().__init__(nursery, f"container {record.row.name}")
        self.record = record
        self.stdio = ContainerStdio(parts, record, self._on_detached)
        self.layers = KeptLayers()
        self._parts = parts
        self._run: Run | None = None
        self._starters: list[Reply] = []
        self._stoppers: list[Reply] = []
        self._leavers: list[Reply] = []
        """Stoppers for the daemon's end, which does not wait for what cannot be killed."""
        self._removers: list[commands.Remove] = []
        self._restarter = DAEMON
        self._holders = 0
        self._lookers = 0
        self._killed_at = -math.inf

    @property
    def run(self) -> Run | None:
        """The run in progress."""
        return self._run

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

    async def _surely(self, change: Change) -> None:
        await surely(f"container {self._name}", partial(self.record.make, change))

    # -- starting -------------------------------------------------------------------------------------------

    def _beginning(self, event: Event, cause: str, caller: Caller = DAEMON) -> Change:
        """The next run, on paper: its row is there before its process is."""
        number = self.record.row.run_number + 1
        begin = partial(
            runs.begin,
            container_id=self.record.id,
            number=number,
            started_at=self._parts.now_ns(),
            cause=cause,
            asked_by=BEGUN_BY.get(cause, str(caller)),
        )
        fresh = {} if event is Event.DUE else FIRST_OF_A_SERIES
        watched = "" if self.record.spec.health is None else STARTING
        columns = {**BEGUN, **fresh, "run_number": number, **_columns(Health(watched))}
        return Change(passed=(event,), columns=columns, writes=(begin, *tell_of(self.record, "mount")))

    async def _begin_surely(self, event: Event) -> None:
        await self._begin(partial(self._surely, self._beginning(event, "policy")))

    async def _begin(self, commit: Callable[[], Awaitable[None]], caller: Caller = DAEMON) -> None:
        """Commit the next run's row. While the disk is waited for, the run prepares what needs no row."""
        self._run = self._new_run(self.record.row.run_number + 1)
        self._run.started_for = caller
        self._children.start_soon(self._run.perform)
        try:
            await commit()
        except Exception:
            await self._run.revoke()
            self._run = None
            raise
        self._deadline = math.inf
        self._run.begun.set()

    async def _perform_next_run(self, caller: Caller = DAEMON) -> None:
        """Its row was committed with the end of the run before."""
        self._deadline = math.inf
        self._run = self._new_run(self.record.row.run_number)
        self._run.started_for = caller
        self._run.begun.set()
        self._children.start_soon(self._run.perform)

    def _new_run(self, number: int) -> Run:
        return Run(
            self._parts, self.record, number=number, stdio=self.stdio, layers=self.layers, report=self.tell
        )

    async def _on_ready(self, _news: Ready) -> None:
        await self._surely(self._running())
        self._set_run_deadline()
        for reply in taken(self._starters):
            reply.settle()
        await self._end_if_asked_meanwhile()

    def _running(self) -> Change:
        process, now = self._run_in_progress.process, self._parts.now_ns()
        pid = 0 if process is None else process.pid
        return Change(
            passed=(Event.READY,),
            told=(Told("start", {}, self._run_in_progress.started_for),),
            columns={"pid": pid, "started_at": now, "finished_at": None},
            writes=(self._run_columns(pid=pid, started_at=now), *self._run_in_progress.sandbox.writes),
        )

    def _run_columns(self, **columns: object) -> Write:
        """Columns of the run's own row."""
        return partial(runs.update, container_id=self.record.id, number=self._number, **columns)  # type: ignore[arg-type]

    async def _end_if_asked_meanwhile(self) -> None:
        """A stop or removal that came when the start could no longer be abandoned."""
        run = self._run_in_progress
        if self._removers:
            await run.end_by_force()
        elif run.ending.by in {"stop", "shutdown"}:
            await self._begin_end(run.ending, run.ended_for, self._surely)

    def _set_run_deadline(self) -> None:
        longest, began = self.record.spec.run_timeout, self.record.row.started_at or self._parts.now_ns()
        self._deadline = self._at(began + int(longest * 1e9), longest) if longest > 0 else math.inf

    async def _on_probed(self, news: Probed) -> None:
        """A result may come late, when the run is over or somebody has paused it."""
        row, check = self.record.row, self.record.spec.health
        if self.record.state is not State.RUNNING or check is None:
            return
        before = Health(row.health, row.failing_streak, row.health_log)
        after = judged(before, news.probe, check, row.started_at or 0)
        changed = after.status != before.status
        told = (Told(f"health_status: {after.status}"),) if changed else ()
        await self._surely(Change(told=told, columns=_columns(after)))
        if changed and after.status == UNHEALTHY:
            await self._end_unhealthy(check.on_failure)

    async def _end_unhealthy(self, how: str) -> None:
        """The restart policy decides what follows, as if it had failed by itself."""
        if how == "stop":
            await self._stop_by_itself("unhealthy")
        elif how == "kill":  # without the stop signal before it, which a program may take for a wish
            await self._stop_by_itself("unhealthy", signal.SIGKILL)
            await self._run_in_progress.end_by_force()

    # -- ending ---------------------------------------------------------------------------------------------

    async def _on_exited(self, news: Exited) -> None:
        await self._ended(Event.EXIT, outcome_of(news, self._run_in_progress.ending.by))

    async def _on_failed(self, news: Failed) -> None:
        outcome = Outcome.of_failure(news.error, ended_by=self._run_in_progress.ending.by)
        starters = taken(self._starters) if outcome.ended_by != "restart" else []
        by_hand = bool(starters) and self._run_in_progress.started_for != DAEMON
        await self._ended(Event.FAILED, outcome, by_hand=by_hand)
        for reply in starters:
            reply.fail(news.error)

    async def _ended(self, event: Event, outcome: Outcome, *, by_hand: bool = False) -> None:
        """Commit the end of the run together with what follows from it, then let the run free what it has."""
        run, row, now = self._run_in_progress, self.record.row, self._parts.now_ns()
        outcome = outcome.judged(self._was_killed_by_hand(outcome))
        ask = not by_hand and not self._removers
        sequel = sequel_of(outcome, row, self.record.spec, now, ask_policy=ask)
        end = Change(passed=(event,), writes=tell_of(self.record, "unmount"))
        end = end.then(outcome.change(row, now, run.ended_for)).then(sequel)
        next_step = self._next_step(outcome, sequel, now)
        await self._surely(end.then(next_step.change))
        self._deadline = math.inf
        run.committed.set()
        await run.done.wait()
        self._run = None
        await next_step.take()
        for reply in (*taken(self._stoppers), *taken(self._leavers)):
            reply.settle()
        self._refuse_starters()

    def _refuse_starters(self) -> None:
        """A restart waits for the next run; where there is none after all (a removal came between), it has failed."""
        if self.record.state in ALIVE:
            return
        cause = "it was removed" if self.record.state is State.REMOVED else "it ended"
        for reply in taken(self._starters):
            reply.fail(Conflict(f"cannot start container {self._name}: {cause} meanwhile"))

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
        if self._removers or (self.record.spec.auto_remove and not restart and not retry):
            removal = self._removal()
            return NextStep(removal.change, partial(self._finish_removal, removal))
        if restart:
            begin = self._beginning(Event.START, "manual", self._restarter)
            return NextStep(begin, partial(self._perform_next_run, self._restarter))
        due = sequel.columns.get("next_start_at")
        if isinstance(due, int) and due <= now_ns:
            return NextStep(self._beginning(Event.DUE, "policy"), self._perform_next_run)
        return NextStep(Change(), self._wait_for_retry)

    async def _wait_for_retry(self) -> None:
        row = self.record.row
        if self.record.state is State.BACKOFF:
            self._deadline = self._at(row.next_start_at, row.last_delay)

    # -- what is due ----------------------------------------------------------------------------------------

    async def _on_due(self, _news: Due) -> None:
        match self.record.state:
            case State.BACKOFF:
                await self._begin_surely(Event.DUE)
            case State.STOPPING:
                if not await self._run_in_progress.end_by_force():
                    self._let_leavers_go()
            case State.RUNNING | State.PAUSED:
                await self._stop_by_itself("timeout")
            case _:
                pass

    def _at(self, due_ns: int | None, longest: float) -> float:
        """The trio clock's time at a moment of the wall clock (None: now), or of ``longest`` seconds from now.

        The sooner one, since the clock may have been set back meanwhile (a machine that boots without one).
        """
        left = 0.0 if due_ns is None else (due_ns - self._parts.now_ns()) / 1e9
        return trio.current_time() + min(left, longest)

    def _let_leavers_go(self) -> None:
        for reply in taken(self._leavers):
            reply.fail(
                Unavailable(
                    f"cannot stop container {self._name}: not even SIGKILL ends all its processes; "
                    "the next daemon will find what is left of it"
                )
            )

    # -- stopping -------------------------------------------------------------------------------------------

    async def _stop_by_itself(self, ended_by: str, number: int | None = None) -> None:
        await self._stop_run(commands.Stop(DAEMON, signal=number, ended_by=ended_by), self._surely)

    async def _stop_run(self, command: commands.Stop, commit: Callable[[Change], Awaitable[None]]) -> None:
        """Begin the end of the run; where that was begun already, the last wish and the sooner time count."""
        await self._begin_end(self._asked(command), command.caller, commit)

    def _asked(self, command: commands.Stop) -> Ending:
        return self._run_in_progress.ending.asked(command, self.record.spec, self._parts.now_ns())

    async def _begin_end(
        self, ending: Ending, caller: Caller, commit: Callable[[Change], Awaitable[None]]
    ) -> None:
        run = self._run_in_progress
        await commit(self._stopping(caller, ending))
        run.ending, run.ended_for = ending, caller
        await run.thaw()  # a paused one could not take the signal
        run.signal(ending.signal)
        self._set_kill_deadline()

    def _stopping(self, caller: Caller, ending: Ending) -> Change:
        return Change(
            passed=() if self.record.state is State.STOPPING else (Event.STOP,),
            told=(Told("kill", {"signal": str(ending.signal)}, caller),),
            columns=BY_HAND if ending.by == "stop" else NOT_BY_HAND,
            writes=(self._run_columns(**ending.columns()),),
        )

    def _set_kill_deadline(self) -> None:
        _, _, kill_at, grace = self._run_in_progress.ending
        longest = math.inf if grace is None else grace / 1e9
        self._deadline = math.inf if kill_at is None else self._at(kill_at, longest)

    # -- removing -------------------------------------------------------------------------------------------

    def _removal(self) -> Removal:
        caller = self._removers[0].caller if self._removers else DAEMON
        volumes = any(command.volumes for command in self._removers)
        return Removal(self._parts, self.record, caller, volumes=volumes)

    async def _remove(self) -> None:
        removal = self._removal()
        try:
            await self.record.make(removal.change)
        except StoreError as error:
            for command in taken(self._removers):
                command.reply.fail(error)
            log.error("%s", error)
        else:
            await self._finish_removal(removal)

    async def _finish_removal(self, removal: Removal) -> None:
        await removal.finish(self.stdio, self._nursery)
        for command in taken(self._removers):
            command.reply.settle()
        for reply in taken(self._stoppers):
            reply.settle()

    # -- small words ----------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self.record.row.name

    @property
    def _number(self) -> int:
        return self._run_in_progress.number

    @property
    def _run_in_progress(self) -> Run:
        assert self._run is not None  # noqa: S101 - the states that ask for it have one
        return self._run


def _columns(health: Health) -> Columns:
    return {"health": health.status, "failing_streak": health.streak, "health_log": health.log}


def taken(waiting: list[T]) -> list[T]:
    """All that wait, which wait no longer."""
    found = list(waiting)
    waiting.clear()
    return found
