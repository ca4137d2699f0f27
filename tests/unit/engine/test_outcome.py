"""What is told of the end of a run."""

from __future__ import annotations

import pytest
from helpers.rows import NOW, container

from pysup.supervisor.engine.callers import DAEMON
from pysup.supervisor.engine.containers.outcome import Outcome
from pysup.supervisor.errors import StartFailed

FAILURE = StartFailed("container web", "wait for the start", 0, "the engine died meanwhile")


@pytest.mark.parametrize(
    ("ended_by", "told"), [("restart", []), ("itself", ["die"]), ("stop", ["die", "stop"])]
)
def test_a_start_that_is_made_anew_is_no_end(ended_by: str, told: list[str]) -> None:
    """Who waits for the end waits on."""
    change = Outcome.of_failure(FAILURE, ended_by).change(container(), NOW, DAEMON)
    assert [one.action for one in change.told] == told


@pytest.mark.parametrize(
    ("outcome", "by_hand", "ended_by"),
    [
        (Outcome(137, 9, oom_killed=True), False, "oom"),
        (Outcome(137, oom_killed=True), False, "oom"),  # of a shell's child
        (Outcome(0, oom_killed=True), False, "itself"),  # it got over that
        (Outcome(137, 9), False, "itself"),
        (Outcome(137, 9, "kill", oom_killed=True), True, "kill"),
        (Outcome(137, 9, "kill", oom_killed=True), False, "oom"),  # long after a signal that it has outlived
        (Outcome(137, 9, "stop", oom_killed=True), False, "stop"),
        (Outcome(255, 0, "lost", oom_killed=True), False, "lost"),
    ],
)
def test_who_ended_it(outcome: Outcome, by_hand: bool, ended_by: str) -> None:
    assert outcome.judged(by_hand).ended_by == ended_by
