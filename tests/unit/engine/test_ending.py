"""Whose wish decides how a run ends, and when it is killed."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.engine.callers import DAEMON
from pysup.supervisor.engine.containers.commands import Restart, Stop
from pysup.supervisor.engine.containers.ending import Ending, latest
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.spec.from_docker import normalise

NOW = 10**18
SECOND = 10**9
WISHES = ("stop", "restart", "shutdown", "timeout", "unhealthy")


def spec(stop_timeout: float = 10) -> ContainerSpec:
    made = normalise({"Image": "x", "Cmd": ["x"]}, {}).spec
    return replace(made, stop_timeout=stop_timeout, stop_signal=int(signal.SIGQUIT))


def test_a_stop_is_as_the_container_says_where_it_says_nothing() -> None:
    assert Ending().asked(Stop(DAEMON), spec(), NOW) == Ending(
        "stop", signal.SIGQUIT, NOW + 10 * SECOND, 10 * SECOND
    )
    own = Stop(DAEMON, signal=2, timeout=0.5)
    assert Ending().asked(own, spec(), NOW) == Ending("stop", 2, NOW + SECOND // 2, SECOND // 2)
    assert Ending().asked(Stop(DAEMON, timeout=-1), spec(), NOW).kill_at is None
    assert Ending().asked(Stop(DAEMON), spec(-1), NOW).kill_at is None


def test_what_no_row_can_hold_is_never() -> None:
    """A time is nanoseconds in 64 bits."""
    for timeout in (9_000_000_000, 10**18 - 1):
        assert Ending().asked(Stop(DAEMON, timeout=timeout), spec(), NOW).kill_at is None
    assert Ending("stop", 2, NOW).asked(Stop(DAEMON, timeout=10**18 - 1), spec(), NOW).kill_at == NOW


timeouts = st.none() | st.integers(-1, 5000)


@given(st.lists(st.tuples(st.sampled_from(WISHES), timeouts), min_size=1), st.integers(-1, 100))
def test_the_sooner_time_counts(asked: list[tuple[str, int | None]], own: int) -> None:
    ending = Ending()
    for by, timeout in asked:
        ending = ending.asked(Stop(DAEMON, timeout=timeout, ended_by=by), spec(own), NOW)
    waits = [own if timeout is None else timeout for _, timeout in asked]
    limits = [wait for wait in waits if wait >= 0]
    assert ending.kill_at == (NOW + min(limits) * SECOND if limits else None)
    assert ending.grace == (min(limits) * SECOND if limits else None)


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        ("timeout", "stop", "stop"),
        ("restart", "stop", "stop"),
        ("stop", "restart", "restart"),
        ("stop", "shutdown", "stop"),
        ("restart", "shutdown", "shutdown"),
        ("unhealthy", "shutdown", "shutdown"),
        ("shutdown", "restart", "shutdown"),
        ("shutdown", "stop", "stop"),
    ],
)
def test_the_last_wish_counts_but_not_against_the_daemon_s_end(before: str, asked: str, after: str) -> None:
    assert latest(before, asked) == after


def test_a_kill_is_a_wish_where_it_means_an_end_and_nobody_has_stopped_it() -> None:
    running = Ending()
    assert running.killed(signal.SIGHUP, spec()) is running
    assert running.killed(signal.SIGQUIT, spec()) == Ending("kill", signal.SIGQUIT)
    polite = running.killed(signal.SIGTERM, spec())
    assert polite.killed(signal.SIGKILL, spec()) == Ending("kill", signal.SIGKILL)
    overdue = Ending("timeout", signal.SIGTERM, NOW)
    assert overdue.killed(signal.SIGKILL, spec()) == Ending("kill", signal.SIGKILL, NOW)
    restarting = running.asked(Restart(DAEMON), spec(), NOW)
    assert restarting.killed(signal.SIGKILL, spec()) is restarting
