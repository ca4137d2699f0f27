"""HostConfig.RestartPolicy, and pysup's settings of the delays, into RestartPolicy. Pure."""

from __future__ import annotations

from typing import Literal, cast

from pysup.supervisor.spec.container import RestartPolicy
from pysup.supervisor.spec.fields import Fields

_POLICIES = ("no", "always", "on-failure", "unless-stopped")
_LARGEST_LIMIT = 1000
"""Restarts within the window that --restart-limit can count: as many times are kept for each container."""


def restart_policy(host: Fields) -> RestartPolicy:
    """The policy, checked by docker's rules (moby api/types/container ValidateRestartPolicy)."""
    asked = host.inner("RestartPolicy")
    name = asked.text("Name", "no")
    retries = asked.integer("MaximumRetryCount")
    if name not in _POLICIES:
        raise host.bad(f"unknown restart policy {name[:64]!r} (it is one of {', '.join(_POLICIES)})")
    if retries and name != "on-failure":
        raise host.bad(
            f"a maximum retry count goes only with the restart policy on-failure, not with {name!r}"
        )
    if retries < 0:
        raise host.bad(f"the maximum retry count cannot be negative, and is {retries}")
    if host.flag("AutoRemove") and name != "no":
        raise host.bad(f"--rm conflicts with the restart policy {name!r}")
    return _with_delays(host.inner("Pysup"), cast('Literal["no", "always"]', name), retries)


def _with_delays(own: Fields, name: Literal["no", "always"], retries: int) -> RestartPolicy:
    plain = RestartPolicy(name, retries)
    count, window = _limit(own.inner("RestartLimit"))
    delay = _given(own.seconds("RestartDelay"), plain.delay)
    return RestartPolicy(
        name,
        retries,
        delay=delay,
        max_delay=_given(own.seconds("RestartMaxDelay"), max(delay, plain.max_delay)),
        reset_after=_given(own.seconds("RestartResetAfter"), plain.reset_after),
        limit_count=count,
        limit_window=window,
    )


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _limit(limit: Fields) -> tuple[int, float]:
    """``{"Count": 5, "Window": 60}``; a count of 0 is no limit."""
    count, window = limit.integer("Count"), limit.seconds("Window") or 0.0
    if not 0 <= count <= _LARGEST_LIMIT:
        raise limit.bad(f"--restart-limit {count} is not within 0 and {_LARGEST_LIMIT}")
    if count and not window:
        raise limit.bad("--restart-limit needs a duration: N/DURATION")
    return (count, window) if count else (0, 0.0)
