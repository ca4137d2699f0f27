"""The table is total in words: every pair is either legal or named as impossible, and the drawing agrees."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from pysup.supervisor.engine.containers.states import (
    ALIVE,
    IMPOSSIBLE,
    RESTING,
    TRANSITIONS,
    Event,
    IllegalTransition,
    State,
    next_state,
)

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_is_legal_or_named(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=re.escape(IMPOSSIBLE[event])):
            next_state(state, event)


def test_every_state_can_be_reached_and_all_but_removed_left() -> None:
    assert {*TRANSITIONS.values(), State.CREATED} == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.REMOVED}


def test_alive_resting_and_backoff_are_all_states() -> None:
    assert ALIVE | RESTING | {State.BACKOFF} == set(State)
    assert not ALIVE & RESTING


def test_the_drawing_is_the_table() -> None:
    text = (ROOT / "contrib" / "ARCHITECTURE.md").read_text()
    drawn = {
        (State(before), Event(event), State(after))
        for before, event, after in re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", text, re.MULTILINE)
        if before in set(State)
    }
    assert drawn == {(state, event, after) for (state, event), after in TRANSITIONS.items()}
