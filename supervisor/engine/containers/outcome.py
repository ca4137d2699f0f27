"""How a run ended, as one value: what is written of it, told of it, and decided from it. Pure but for the rows."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from pysup.store import runs
from pysup.store.containers import Container as Row
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.commands import Exited
from pysup.supervisor.engine.containers.record import Aside, Change, Told, Write
from pysup.supervisor.errors import SET_UP_FAILED, PysupError, StartEnded, StartFailed

_KILLED = 128 + signal.SIGKILL
LOST = 255
"""The exit code recorded when the real one cannot be known (docker's, too)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one run."""

    exit_code: int
    signal: int = 0
    """The signal that killed the first process; 0: none."""
    ended_by: str = "itself"
    """One of store.runs.ENDED_BY."""
    oom_killed: bool = False
    """The kernel has killed processes of it for want of memory; whether that ended it is ``ended_by``'s to say."""
    failed: bool = False
    """The process never ran."""
    error: str = ""
    failed_step: str = ""
    cpu_ns: int = 0
    memory_peak: int = 0

    @classmethod
    def of_failure(cls, error: PysupError, ended_by: str) -> Outcome:
        """A run that could not be started."""
        exit_code = error.exit_code if isinstance(error, StartFailed) else SET_UP_FAILED
        step = error.step if isinstance(error, StartFailed | StartEnded) else "prepare"
        return cls(exit_code, 0, ended_by, failed=True, error=str(error), failed_step=step)

    @property
    def by_hand(self) -> bool:
        """Whether a person's stop or kill ended it: no policy brings it back before the daemon's next start."""
        return self.ended_by in {"stop", "kill"}

    @property
    def begun_anew(self) -> bool:
        """Whether it never ran, and another start takes its place."""
        return self.failed and self.ended_by == "restart"

    def judged(self, killed_by_hand: bool) -> Outcome:  # noqa: FBT001 - the only argument there can be
        """The same, after the question who really ended it: a kill by hand, the kernel by an OOM kill, or itself.

        Also where the first process only passes on how the one that was killed ended, as a shell does, and --init.
        """
        if self.ended_by not in {"itself", "kill"} or killed_by_hand:
            return self
        is_oom = self.oom_killed and self.exit_code == _KILLED
        return replace(self, ended_by="oom" if is_oom else "itself")

    @staticmethod
    def duration(started_ns: int | None, finished_ns: int | None) -> float:
        """Seconds that a run took; 0 if it never ran."""
        if started_ns is None or finished_ns is None:
            return 0.0
        return max(0.0, (finished_ns - started_ns) / 1e9)

    def change(self, row: Row, now_ns: int, caller: Caller, left: Sequence[Aside] = ()) -> Change:
        """What is committed of this end: the run's row, the container's, and the events. ``caller`` asked for it.

        ``left``: the events of what it has let go of.
        """
        return Change(
            told=(*self._died(row.started_at, now_ns), *left, *self._stopped(caller)),
            columns={
                "finished_at": now_ns,
                "pid": 0,
                "exit_code": self.exit_code,
                "oom_killed": int(self.oom_killed),
                "error": self.error,
                "failed_step": self.failed_step,
            },
            writes=(self._write_run(row, now_ns),),
        )

    def _died(self, started_ns: int | None, now_ns: int) -> list[Told]:
        """In docker's words; a start that is made anew has not ended."""
        if self.begun_anew:
            return []
        duration = int(self.duration(started_ns, now_ns)) if not self.failed else 0
        attributes = {"exitCode": str(self.exit_code), "execDuration": str(duration)}
        if self.error:
            attributes["error"] = self.error
        if self.ended_by == "lost":
            attributes["exitCodeLost"] = "true"
        oom = [Told("oom")] if self.oom_killed else []
        return [*oom, Told("die", attributes)]

    def _stopped(self, caller: Caller) -> list[Told]:
        is_stop = self.ended_by in {"stop", "restart", "shutdown"} and not self.begun_anew
        return [Told("stop", {}, caller)] if is_stop else []

    def _write_run(self, row: Row, now_ns: int) -> Write:
        return partial(
            runs.update,
            container_id=row.id,
            number=row.run_number,
            ended_at=now_ns,
            exit_code=self.exit_code,
            signal=self.signal,
            oom_killed=int(self.oom_killed),
            ended_by=self.ended_by,
            error=self.error,
            failed_step=self.failed_step,
            cpu_ns=self.cpu_ns,
            memory_peak=self.memory_peak,
        )


def exit_code_of(status: int) -> int:
    """A shell's exit code of a wait status (waitpid(2)): 128+n for signal n."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def outcome_of(news: Exited, ended_by: str) -> Outcome:
    """Read a wait status; None is a status that was lost."""
    if news.status is None:
        return Outcome(LOST, ended_by="lost", oom_killed=news.oom_killed, error="the exit status was lost")
    return Outcome(
        exit_code_of(news.status),
        os.WTERMSIG(news.status) if os.WIFSIGNALED(news.status) else 0,
        ended_by,
        oom_killed=news.oom_killed,
        cpu_ns=news.cpu_ns,
        memory_peak=news.memory_peak,
    )
