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
