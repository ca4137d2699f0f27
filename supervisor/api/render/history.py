"""A container's runs, pysup's own: GET /pysup/containers/{id}/history."""

from __future__ import annotations

from typing import Any

from pysup.store.runs import Run
from pysup.supervisor.spec.timestamps import rfc3339


def run_entry(run: Run) -> dict[str, Any]:
    """One run; times are null where there is none."""
    return {
        "Number": run.number,
        "StartedAt": rfc3339(run.started_at),
        "EndedAt": None if run.ended_at is None else rfc3339(run.ended_at),
        "Pid": run.pid,
        "ExitCode": run.exit_code,
        "Signal": run.signal,
        "OOMKilled": run.oom_killed,
        "Cause": run.cause,
        "AskedBy": run.asked_by,
        "EndedBy": run.ended_by,
        "Error": run.error,
        "FailedStep": run.failed_step,
        "CpuNs": run.cpu_ns,
        "MemoryPeak": run.memory_peak,
    }
