"""Health checks: docker's Healthcheck object, of a create body laid over an image's, into a frozen value. Pure.

Sources: moby daemon/commit.go (merge), daemon/container.go (validateHealthCheck), daemon/health.go (defaults).
"""

from __future__ import annotations

from dataclasses import dataclass

from pysup.supervisor.spec.fields import Fields, Json

_TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval")
_BILLION = 10**9
_SHORTEST = 10**6
"""Nanoseconds: docker's bound."""
_NONE = "NONE"
_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How to find out whether a container does what it is for. Times are seconds."""

    argv: tuple[str, ...]
    interval: float = 30.0
    """From the end of one probe to the beginning of the next."""
    timeout: float = 30.0
    """The longest that a probe may take."""
    retries: int = 3
    """How many failures in a row make it unhealthy."""
    start_period: float = 0.0
    """After the start; failures in it count only once a probe has succeeded."""
    start_interval: float = 5.0
    """Instead of ``interval``, in that time."""
    on_failure: str = "none"
    """What is done with a run that has become unhealthy: ``none``, ``stop`` or ``kill``; then the policy decides."""


def merged_check(body: Fields, image: Fields) -> Json:
    """Config.Healthcheck: what the body does not say is the image's; {} if neither says anything."""
    own, of_image = body.inner("Healthcheck"), image.inner("Healthcheck")
    found: Json = {"Test": own.texts("Test") or of_image.texts("Test")}
    found |= {key: own.integer(key) or of_image.integer(key) for key in (*_TIMES, "Retries")}
    if found["Test"] == [_NONE]:
        return {"Healthcheck": {"Test": [_NONE]}}
    kept = {key: value for key, value in found.items() if value}
    return {"Healthcheck": kept} if kept else {}


def health_check(config: Fields, on_failure: str = "") -> HealthCheck | None:
    """What is to be run; None: nothing. ``on_failure``: of HostConfig.Pysup. Raises BadRequest."""
    asked = config.inner("Healthcheck")
    for key in _TIMES:
        if asked.integer(key) and asked.integer(key) < _SHORTEST:
            raise asked.bad(f"{key} in Healthcheck cannot be less than 1ms")
    if asked.integer("Retries") < 0:
        raise asked.bad("Retries in Healthcheck cannot be negative")
    if on_failure not in ("", "none", "stop", "kill"):
        raise asked.bad(
            f"--health-on-failure {on_failure[:64]!r} is not none, stop or kill; --restart says what comes then"
        )
    argv = _argv(asked, tuple(config.texts("Shell")) or _SHELL)
    if argv is None:
        return None
    default = HealthCheck(argv)
    return HealthCheck(
        argv,
        interval=asked.integer("Interval") / _BILLION or default.interval,
        timeout=asked.integer("Timeout") / _BILLION or default.timeout,
        retries=asked.integer("Retries") or default.retries,
        start_period=asked.integer("StartPeriod") / _BILLION,
        start_interval=asked.integer("StartInterval") / _BILLION or default.start_interval,
        on_failure=on_failure or default.on_failure,
    )


def _argv(asked: Fields, shell: tuple[str, ...]) -> tuple[str, ...] | None:
    kind, *words = asked.texts("Test") or [_NONE]
    match kind:
        case "NONE":
            return None
        case "CMD" if words and words[0]:
            return tuple(words)
        case "CMD-SHELL" if len(words) == 1 and words[0]:
            return (*shell, words[0])
    raise asked.bad(f"Healthcheck.Test must be NONE, CMD with words, or CMD-SHELL with one: {kind[:64]!r}")
