"""Whether and when an ended run is followed by another. Pure: time comes in as an argument.

Docker's rules (moby restartmanager.go, monitor.go, kill.go), with the delays settable, and with one fault of
docker's left out: there any ``kill -s X`` cancels the policy, here only a kill that ends the run does.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pysup.supervisor.spec.container import RestartPolicy

ENDING_SIGNALS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT})
"""Signals by which a person means to end a container; the container's own stop signal counts as well."""


class Ended(NamedTuple):
    """A run that is over."""

    exit_code: int
    """0-255; 128+n for signal n, 255 if it was lost."""
    duration: float
    """Seconds from start to end."""
    by_hand: bool
    """Stopped or killed on request."""


class Tally(NamedTuple):
    """What the decision reads of the runs so far; the next one comes back with the verdict."""

    retries: int = 0
    """Restarts since the last start by hand."""
    last_delay: float = 0.0
    """The delay before the run that has just ended; 0 if there was none."""
    restarts: tuple[float, ...] = ()
    """Times of the recent restarts (seconds since the epoch), oldest first; at most as many as the limit."""


class Retry(NamedTuple):
    """Start again at ``due`` (seconds since the epoch)."""

    due: float
    delay: float
    tally: Tally


class GiveUp(NamedTuple):
    """No restart follows."""

    reason: Literal["policy", "success", "by hand", "retries", "crash loop"]


def decide(policy: RestartPolicy, ended: Ended, tally: Tally, now: float) -> Retry | GiveUp:
    """What follows the end of a run."""
    refusal = _refusal(policy, ended, tally)
    if refusal is not None:
        return GiveUp(refusal)
    recent = recent_restarts(tally.restarts, policy.limit_window, now)
    if policy.limit_count and len(recent) >= policy.limit_count:
        return GiveUp("crash loop")
    delay = next_delay(policy, tally.last_delay, ended.duration)
    kept = (*recent, now)[-policy.limit_count :] if policy.limit_count else ()
    return Retry(now + delay, delay, Tally(tally.retries + 1, delay, kept))


def _refusal(
    policy: RestartPolicy, ended: Ended, tally: Tally
) -> Literal["policy", "success", "by hand", "retries"] | None:
    if policy.name == "no":
        return "policy"
    if ended.by_hand:
        return "by hand"
    if policy.name != "on-failure":
        return None
    if ended.exit_code == 0:
        return "success"
    if policy.max_retries and tally.retries >= policy.max_retries:
        return "retries"
    return None


def next_delay(policy: RestartPolicy, last: float, duration: float) -> float:
    """The delay before the next run, in seconds: doubling, capped, back to the first after a long run."""
    if last <= 0 or duration >= policy.reset_after:
        return min(policy.delay, policy.max_delay)
    return min(last * 2, policy.max_delay)


def changed_delay(before: RestartPolicy, after: RestartPolicy, last: float) -> float:
    """What becomes of a delay that is being waited for when the policy changes: as often doubled as it was."""
    doubled = last / before.delay if before.delay > 0 else 1.0
    return min(after.delay * max(1.0, doubled), after.max_delay)


def recent_restarts(times: Sequence[float], window: float, now: float) -> tuple[float, ...]:
    """Those of the times that lie within the window before now; none that is to come: the clock was set back since."""
    return tuple(time for time in times if 0 <= now - time < window)


def starts_at_boot(policy: RestartPolicy, *, ran: bool, stopped_by_hand: bool, interrupted: bool) -> bool:
    """Whether a container that is at rest is started when the daemon starts.

    ``ran``: it was started before (one that was only created stays so). ``interrupted``: its last run was ended
    by the daemon's own end or by a reboot. ``always`` comes back even after a stop by hand, ``unless-stopped``
    only without one, ``on-failure`` only if it was interrupted: it had not ended by itself.
    """
    match policy.name:
        case "no":
            return False
        case "always":
            return ran
        case "unless-stopped":
            return ran and not stopped_by_hand
        case "on-failure":
            return interrupted and not stopped_by_hand


def ends_by_hand(sent: int, stop_signal: int, *, exit_code: int, elapsed: float, grace: float) -> bool:
    """Whether a run that ended ``elapsed`` seconds after ``kill -s sent`` counts as ended by hand.

    Only signals by which people end things count (and the container's stop signal): a HUP or USR1 never does,
    whatever the process makes of it. If the process died of it (128+n) that settles it; if it exited in its own
    way, then only within the grace in which a stop would have waited too.
    """
    if sent not in ENDING_SIGNALS and sent != stop_signal:
        return False
    return exit_code == 128 + sent or elapsed <= grace
