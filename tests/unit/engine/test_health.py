"""What results of probes mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.engine.containers.health import (
    HEALTHY,
    STARTING,
    UNHEALTHY,
    Health,
    Probe,
    judged,
    pause,
)
from pysup.supervisor.spec.health import HealthCheck

SECOND = 10**9
CHECK = HealthCheck(("true",), retries=3, start_period=10.0, interval=30.0, start_interval=2.0)
NEW = Health(STARTING)


def after(codes: list[int], *, at: float = 100.0, health: Health = NEW, check: HealthCheck = CHECK) -> Health:
    """Probes one after the other, that many seconds after the start."""
    for code in codes:
        health = judged(health, Probe(round(at * SECOND), round(at * SECOND) + 5, code, f"{code}"), check, 0)
    return health


@pytest.mark.parametrize(
    ("codes", "status", "streak"),
    [
        ([], STARTING, 0),
        ([0], HEALTHY, 0),
        ([1, 1], STARTING, 2),
        ([1, 1, 1], UNHEALTHY, 3),
        ([1, 1, 0, 1, 1], HEALTHY, 2),
        ([0, 1, 2, -1], UNHEALTHY, 3),
        ([1, 1, 1, 1, 0], HEALTHY, 0),
    ],
)
def test_after_the_start(codes: list[int], status: str, streak: int) -> None:
    found = after(codes)
    assert (found.status, found.streak) == (status, streak)


def test_while_it_starts_failures_are_forgiven_until_the_first_success() -> None:
    assert after([1] * 9, at=5)[:2] == (STARTING, 0)
    assert after([0, 1, 1, 1], at=5)[:2] == (UNHEALTHY, 3)
    assert after([1, 1, 1], health=after([1] * 9, at=5))[:2] == (UNHEALTHY, 3)


def test_the_next_probe_is_due() -> None:
    assert pause(NEW, CHECK, 9.9) == 2.0
    assert pause(NEW, CHECK, 10.0) == pause(Health(HEALTHY), CHECK, 1.0) == 30.0


def test_the_last_results_are_kept() -> None:
    log = json.loads(after([0, 1, 2, 3, 4, 5, 6]).log)
    assert [one["ExitCode"] for one in log] == [2, 3, 4, 5, 6]
    assert log[0] == {
        "Start": "1970-01-01T00:01:40Z",
        "End": "1970-01-01T00:01:40.000000005Z",
        "ExitCode": 2,
        "Output": "2",
    }


@given(st.lists(st.tuples(st.integers(-1, 255), st.floats(0, 60)), max_size=12), st.integers(1, 4))
def test_whatever_comes_the_words_agree_with_the_streak(
    probes: list[tuple[int, float]], retries: int
) -> None:
    check = HealthCheck(("x",), retries=retries, start_period=10.0)
    health = NEW
    for code, at in sorted(probes, key=lambda probe: probe[1]):
        before, health = health, after([code], at=at, health=health, check=check)
        assert (health.status == HEALTHY) >= (code == 0)
        assert (health.status == UNHEALTHY) == (health.streak >= retries)
        assert health.streak in (0, before.streak, before.streak + 1)
        assert not (before.status != STARTING and health.status == STARTING)
