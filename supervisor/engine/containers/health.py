"""What a probe's result means, and when the next one is due. Pure (moby daemon/health.go).

starting ──success──▶ healthy ◀──success── unhealthy
    └─── ``retries`` failures in a row ──▶ unhealthy ◀── the same ── healthy
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pysup.supervisor.spec.health import HealthCheck
from pysup.supervisor.spec.timestamps import rfc3339

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
LONGEST_OUTPUT = 4096
"""Bytes that are kept of what a probe writes."""
_KEPT = 5
"""Results that are shown."""
_BILLION = 10**9


class Probe(NamedTuple):
    """The result of one. Times are nanoseconds since the epoch."""

    start: int
    end: int
    exit_code: int
    """-1: it could not be started, or took too long."""
    output: str


class Health(NamedTuple):
    """As it is in the row of the container."""

    status: str
    """Empty: nobody looks."""
    streak: int = 0
    """Failures in a row."""
    log: str = "[]"
    """JSON: docker's HealthcheckResult of the last probes."""

    def columns(self) -> dict[str, object]:
        """Of the container's row."""
        return {"health": self.status, "failing_streak": self.streak, "health_log": self.log}


def judged(health: Health, probe: Probe, check: HealthCheck, started_at: int) -> Health:
    """The health after a probe; ``started_at``: when the run began, ns. A failure while it starts is forgiven."""
    log = json.dumps([*json.loads(health.log), _entry(probe)][-_KEPT:])
    if probe.exit_code == 0:
        return Health(HEALTHY, 0, log)
    if health.status == STARTING and probe.start - started_at < check.start_period * _BILLION:
        return Health(STARTING, health.streak, log)
    streak = health.streak + 1
    return Health(UNHEALTHY if streak >= check.retries else health.status, streak, log)


def pause(health: Health, check: HealthCheck, since_start: float) -> float:
    """Seconds until the next probe; ``since_start``: seconds that the run has lasted."""
    in_start = health.status == STARTING and since_start < check.start_period
    return check.start_interval if in_start else check.interval


def _entry(probe: Probe) -> dict[str, Any]:
    return {
        "Start": rfc3339(probe.start),
        "End": rfc3339(probe.end),
        "ExitCode": probe.exit_code,
        "Output": probe.output,
    }
