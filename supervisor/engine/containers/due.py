"""How long a container's task waits until time itself is news. Pure; infinite: until then nothing is due.

Due times are those of the wall clock, since they outlive the engine. Each has a longest wait beside it, as the clock
may have been set back meanwhile (a machine that boots without one): the sooner of the two counts.
"""

from __future__ import annotations

import math

from pysup.store.containers import Container as Row
from pysup.supervisor.engine.containers.ending import Ending
from pysup.supervisor.spec.container import ContainerSpec


def until_retry(row: Row, now_ns: int) -> float:
    """Seconds of back-off that are left."""
    return 0.0 if row.next_start_at is None else min(_left(row.next_start_at, now_ns), row.last_delay)


def until_too_long(row: Row, spec: ContainerSpec, now_ns: int) -> float:
    """Seconds that the run may still take (--timeout)."""
    longest = spec.run_timeout
    if longest <= 0:
        return math.inf
    return min(_left((row.started_at or now_ns) + int(longest * 1e9), now_ns), longest)


def until_force(ending: Ending, now_ns: int) -> float:
    """Seconds until an end that was asked for is made."""
    if ending.kill_at is None:
        return math.inf
    return min(_left(ending.kill_at, now_ns), math.inf if ending.grace is None else ending.grace / 1e9)


def _left(due_ns: int, now_ns: int) -> float:
    return (due_ns - now_ns) / 1e9
