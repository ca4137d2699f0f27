"""The end of a run that is on its way: who wants it, by which signal, and when it is made by force. Pure."""

from __future__ import annotations

import math
from signal import SIGKILL
from typing import NamedTuple

from pysup.store.runs import Run as Row
from pysup.supervisor.engine.containers import policy
from pysup.supervisor.engine.containers.commands import Stop
from pysup.supervisor.spec.container import ContainerSpec

_LATEST = (1 << 63) - 1
"""The last time that a row can hold, in the year 2262: what is to be later never is."""
NOT_STOPPED = frozenset({"itself", "kill", "timeout", "unhealthy"})
"""Ends that a kill may still make a person's own."""


class Ending(NamedTuple):
    """What the run's row has of it, so that the next engine goes on with the end that this one has begun."""

    by: str = "itself"
    """One of store.runs.ENDED_BY; ``itself``: nobody wants it."""
    signal: int = 0
    kill_at: int | None = None
    """Nanoseconds since the epoch; None: its end is waited for, however long it takes."""
    grace: int | None = None
    """Nanoseconds to that time from when it was asked for. An engine that comes after a clock was set back waits no
    longer than this.
    """

    @classmethod
    def of_row(cls, row: Row | None) -> Ending:
        """As an earlier engine has left it."""
        return cls() if row is None else cls(row.ended_by or "itself", row.end_signal, row.kill_at, row.grace)

    def columns(self) -> dict[str, object]:
        """Of the run's row."""
        return {
            "ended_by": self.by,
            "end_signal": self.signal,
            "kill_at": self.kill_at,
            "grace": self.grace,
        }

    def killed(self, signal: int, spec: ContainerSpec) -> Ending:
        """Another one, if this signal is one by which people end things, and nobody has stopped it; else itself."""
        ends = signal in policy.ENDING_SIGNALS or signal == spec.stop_signal
        return self._replace(by="kill", signal=signal) if ends and self.by in NOT_STOPPED else self

    def removed(self) -> Ending:
        """Another one: killed at once, by who removes the container; what was stopped before stays so."""
        return self._replace(by="kill" if self.by in NOT_STOPPED else "stop", signal=SIGKILL)

    def asked(self, command: Stop, spec: ContainerSpec, now_ns: int) -> Ending:
        """The end that follows when a stop is asked for, perhaps another one: the sooner of the two times counts."""
        signal = spec.stop_signal if command.signal is None else command.signal
        timeout = spec.stop_timeout if command.timeout is None else command.timeout
        wanted = math.inf if timeout < 0 else now_ns + timeout * 1e9
        before = math.inf if self.kill_at is None else self.kill_at
        by, due = latest(self.by, command.ended_by), min(wanted, before)
        if due >= _LATEST:
            return Ending(by, signal)
        return Ending(by, signal, int(due), max(0, int(due) - now_ns))


def latest(before: str, asked: str) -> str:
    """Whose wish decides what follows: the last person's; the daemon's own end leaves what was stopped at rest."""
    if asked == "shutdown":
        return "stop" if before == "stop" else asked
    if before == "shutdown" and asked == "restart":
        return before
    return asked
