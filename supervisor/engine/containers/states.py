"""The container's life as one table: every pair of state and event is legal here or nowhere.

Pure. containers/record.py is the only caller of next_state(); contrib/ARCHITECTURE.md draws the same table and a
test compares the two.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What is observed of a container. What is wanted of it is another column (store: container.desired)."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    EXITED = "exited"
    REMOVED = "removed"


class Event(StrEnum):
    """What can happen to a container."""

    START = "start"
    READY = "ready"
    FAILED = "failed"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    EXIT = "exit"
    RETRY = "retry"
    DUE = "due"
    REMOVE = "remove"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.CREATED, Event.START): State.STARTING,
    (State.CREATED, Event.REMOVE): State.REMOVED,
    (State.STARTING, Event.READY): State.RUNNING,
    (State.STARTING, Event.FAILED): State.EXITED,
    (State.STARTING, Event.EXIT): State.EXITED,
    (State.RUNNING, Event.STOP): State.STOPPING,
    (State.RUNNING, Event.PAUSE): State.PAUSED,
    (State.RUNNING, Event.EXIT): State.EXITED,
    (State.PAUSED, Event.RESUME): State.RUNNING,
    (State.PAUSED, Event.STOP): State.STOPPING,
    (State.PAUSED, Event.EXIT): State.EXITED,
    (State.STOPPING, Event.EXIT): State.EXITED,
    (State.EXITED, Event.START): State.STARTING,
    (State.EXITED, Event.RETRY): State.BACKOFF,
    (State.EXITED, Event.REMOVE): State.REMOVED,
    (State.BACKOFF, Event.DUE): State.STARTING,
    (State.BACKOFF, Event.START): State.STARTING,
    (State.BACKOFF, Event.STOP): State.EXITED,
}

IMPOSSIBLE: dict[Event, str] = {
    Event.START: "it is already started, or removed",
    Event.READY: "only a start in progress becomes ready",
    Event.FAILED: "only a start in progress can fail",
    Event.STOP: "nothing runs or waits to run; a start in progress is stopped once it is running",
    Event.PAUSE: "only a running container can be paused",
    Event.RESUME: "only a paused container can be resumed",
    Event.EXIT: "no process of this container was alive",
    Event.RETRY: "only an ended run is tried again",
    Event.DUE: "no retry was waited for",
    Event.REMOVE: "a container with a run, or with a retry to come, is stopped before it is removed",
}
"""Why an event is impossible in every state that TRANSITIONS does not pair it with."""


class IllegalTransition(Exception):
    """A pair of state and event that is not in TRANSITIONS: a defect of the caller, never of the user."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"cannot take {event} in state {state}: {IMPOSSIBLE[event]}")


def next_state(state: State, event: Event) -> State:
    """Look the pair up. Raises IllegalTransition if it is not in the table."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None


ALIVE = frozenset({State.STARTING, State.RUNNING, State.PAUSED, State.STOPPING})
"""States in which a process of the container may exist."""

RESTING = frozenset({State.CREATED, State.EXITED, State.REMOVED})
"""States in which nothing happens until somebody asks: such a container needs no task."""
