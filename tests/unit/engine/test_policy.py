"""Docker's restart rules to the letter, and the bounds that hold for any policy."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.engine.containers.policy import (
    Ended,
    GiveUp,
    Retry,
    Tally,
    changed_delay,
    decide,
    ends_by_hand,
    next_delay,
    starts_at_boot,
)
from pysup.supervisor.spec.container import RestartPolicy

ALWAYS = RestartPolicy("always")
CRASH = Ended(exit_code=1, duration=0.5, by_hand=False)

policies = st.builds(
    RestartPolicy,
    name=st.sampled_from(["no", "always", "on-failure", "unless-stopped"]),
    max_retries=st.integers(0, 5),
    delay=st.floats(0, 10),
    max_delay=st.floats(0, 100),
    reset_after=st.floats(0, 100),
    limit_count=st.integers(0, 5),
    limit_window=st.floats(0, 1000),
)
ends = st.builds(Ended, exit_code=st.integers(0, 255), duration=st.floats(0, 1e6), by_hand=st.booleans())


def test_delays_double_from_a_tenth_to_a_minute() -> None:
    delays, tally = [], Tally()
    for _ in range(12):
        verdict = decide(ALWAYS, CRASH, tally, now=1000.0)
        assert isinstance(verdict, Retry)
        delays.append(verdict.delay)
        tally = verdict.tally
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]


def test_a_clock_that_was_set_back_makes_no_crash_loop() -> None:
    policy = RestartPolicy("always", limit_count=3, limit_window=60)
    crashed = Tally(retries=3, last_delay=0.1, restarts=(5000.0, 5001.0, 5002.0))
    assert decide(policy, CRASH, crashed, now=5003.0) == GiveUp("crash loop")
    verdict = decide(policy, CRASH, crashed, now=1000.0)
    assert isinstance(verdict, Retry) and verdict.tally.restarts == (1000.0,)


def test_a_long_run_resets_the_delay_but_not_the_count() -> None:
    verdict = decide(ALWAYS, Ended(1, 10.0, False), Tally(retries=7, last_delay=12.8), now=0.0)
    assert verdict == Retry(0.1, 0.1, Tally(8, 0.1))


@pytest.mark.parametrize(
    ("policy", "ended", "retries", "reason"),
    [
        (RestartPolicy("no"), CRASH, 0, "policy"),
        (ALWAYS, Ended(0, 1, True), 0, "by hand"),
        (RestartPolicy("unless-stopped"), Ended(137, 1, True), 0, "by hand"),
        (RestartPolicy("on-failure"), Ended(0, 1, False), 0, "success"),
        (RestartPolicy("on-failure", 3), CRASH, 3, "retries"),
    ],
)
def test_no_restart_follows(policy: RestartPolicy, ended: Ended, retries: int, reason: str) -> None:
    assert decide(policy, ended, Tally(retries), now=0.0) == GiveUp(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_on_failure_n_restarts_while_the_count_is_below_n(retries: int) -> None:
    assert isinstance(decide(RestartPolicy("on-failure", 3), CRASH, Tally(retries), now=0.0), Retry)


def test_a_crash_loop_is_given_up_and_forgotten_after_the_window() -> None:
    policy = RestartPolicy("always", delay=0, limit_count=3, limit_window=10)
    tally, now = Tally(), 100.0
    for _ in range(3):
        verdict = decide(policy, CRASH, tally, now)
        assert isinstance(verdict, Retry)
        tally, now = verdict.tally, now + 1
    assert decide(policy, CRASH, tally, now) == GiveUp("crash loop")
    assert isinstance(decide(policy, CRASH, tally, now + 10), Retry)


@given(policies, ends, st.integers(0, 10), st.floats(0, 200), st.floats(0, 1e9))
def test_whatever_the_policy_the_delay_is_bounded(
    policy: RestartPolicy, ended: Ended, retries: int, last: float, now: float
) -> None:
    verdict = decide(policy, ended, Tally(retries, last), now)
    if isinstance(verdict, Retry):
        assert 0 <= verdict.delay <= policy.max_delay
        assert verdict.due == now + verdict.delay
        assert verdict.tally.retries == retries + 1
        assert len(verdict.tally.restarts) <= policy.limit_count
        assert not ended.by_hand
        assert policy.name != "no"


@given(policies, st.floats(0, 1000), st.floats(0, 1000))
def test_a_delay_never_shrinks_but_by_a_long_run(policy: RestartPolicy, last: float, duration: float) -> None:
    delay = next_delay(policy, last, duration)
    if 0 < last <= policy.max_delay and duration < policy.reset_after:
        assert delay >= last


@pytest.mark.parametrize(
    ("delay", "max_delay", "last", "expected"),
    [
        (1, 60, 2, 1),
        (1, 60, 16, 8),
        (4, 60, 16, 32),
        (4, 20, 16, 20),
        (0, 60, 16, 0),
        (2, 10, 16, 10),
        (2, 60, 1, 2),
    ],
)
def test_a_change_of_the_delays_keeps_how_often_it_was_doubled(
    delay: float, max_delay: float, last: float, expected: float
) -> None:
    before, after = (
        RestartPolicy("always", delay=2),
        RestartPolicy("always", delay=delay, max_delay=max_delay),
    )
    assert changed_delay(before, after, last) == expected
    assert changed_delay(RestartPolicy("always", delay=0), after, 0) == min(delay, max_delay)


@pytest.mark.parametrize(
    ("name", "ran", "by_hand", "interrupted", "expected"),
    [
        ("no", True, False, True, False),
        ("always", True, True, False, True),
        ("always", False, False, False, False),
        ("unless-stopped", True, False, False, True),
        ("unless-stopped", True, True, False, False),
        ("on-failure", True, False, False, False),
        ("on-failure", True, False, True, True),
        ("on-failure", True, True, True, False),
    ],
)
def test_what_starts_with_the_daemon(
    name: str, ran: bool, by_hand: bool, interrupted: bool, expected: bool
) -> None:
    policy = RestartPolicy(name)  # type: ignore[arg-type]
    assert starts_at_boot(policy, ran=ran, stopped_by_hand=by_hand, interrupted=interrupted) is expected


@pytest.mark.parametrize(
    ("sent", "exit_code", "elapsed", "expected"),
    [
        (signal.SIGKILL, 137, 0.01, True),
        (signal.SIGTERM, 0, 1.0, True),
        (signal.SIGTERM, 143, 3600.0, True),
        (signal.SIGTERM, 1, 3600.0, False),
        (signal.SIGHUP, 129, 0.01, False),
        (signal.SIGHUP, 0, 0.01, False),
        (signal.SIGUSR1, 0, 0.01, True),  # the container's own stop signal
        (signal.SIGUSR2, 0, 0.01, False),
    ],
)
def test_only_a_kill_that_ends_it_cancels_the_policy(
    sent: int, exit_code: int, elapsed: float, expected: bool
) -> None:
    verdict = ends_by_hand(sent, signal.SIGUSR1, exit_code=exit_code, elapsed=elapsed, grace=10.0)
    assert verdict is expected
