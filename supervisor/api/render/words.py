"""A container's state in docker's words (moby daemon/container/state.go), for list and inspect."""

from __future__ import annotations

from pysup.store.containers import Container
from pysup.supervisor.spec.units import human_duration

Json = dict[str, object]

_WORDS = {
    "created": "created",
    "running": "running",
    "paused": "paused",
    "stopping": "running",
    "backoff": "restarting",
    "exited": "exited",
    "removed": "dead",
}
STATES = frozenset({"created", "running", "paused", "restarting", "removing", "exited", "dead"})
"""Every state that docker knows; what ``--filter status=`` takes."""


def state_word(row: Container) -> str:
    """Docker has no word for a start in progress: it shows the state from before it."""
    if row.state != "starting":
        return _WORDS[row.state]
    if row.retries:
        return "restarting"
    return "created" if row.run_number <= 1 else "exited"


def status_text(row: Container, now_ns: int) -> str:
    """``Up 3 minutes (Paused)``, ``Exited (0) 2 hours ago``: the STATUS column of ps."""
    word = state_word(row)
    code = row.exit_code or 0
    if word in ("running", "paused"):
        return f"Up {_since(row.started_at, now_ns)}" + (" (Paused)" if word == "paused" else _health(row))
    if word == "created":
        return "Created"
    if word == "dead":
        return "Dead"
    return f"{word.capitalize()} ({code}) {_since(row.finished_at, now_ns)} ago"


def _health(row: Container) -> str:
    if not row.health:
        return ""
    return f" (health: {row.health})" if row.health == "starting" else f" ({row.health})"


def _since(then_ns: int | None, now_ns: int) -> str:
    return human_duration(0 if then_ns is None else (now_ns - then_ns) / 1e9)
