"""What becomes of a retry that is waited for when somebody changes the restart policy."""

from __future__ import annotations

from dataclasses import replace

from helpers.rows import NOW, SECOND, container

from pysup.supervisor.engine.containers.record import Change, Told
from pysup.supervisor.engine.containers.sequel import reconsidered
from pysup.supervisor.engine.containers.states import Event
from pysup.supervisor.spec.container import ContainerSpec, RestartPolicy
from pysup.supervisor.spec.from_docker import normalise

WAITING = container(state="backoff", finished_at=NOW, last_delay=4.0, next_start_at=NOW + 4 * SECOND)
BEFORE = RestartPolicy("always", delay=1)


def spec(restart: RestartPolicy) -> ContainerSpec:
    return replace(normalise({"Image": "x", "Cmd": ["x"]}, {}).spec, restart=restart)


def test_the_new_delay_counts_from_the_end_of_the_run() -> None:
    after = spec(RestartPolicy("always", delay=2))
    changed = reconsidered(WAITING, BEFORE, after, NOW + 3 * SECOND)
    assert changed == Change(columns={"next_start_at": NOW + 8 * SECOND, "last_delay": 8.0})


def test_without_a_policy_nothing_is_waited_for() -> None:
    changed = reconsidered(WAITING, BEFORE, spec(RestartPolicy("no")), NOW)
    assert (changed.passed, changed.told) == ((Event.STOP,), (Told("stop"),))
    assert changed.columns == {"next_start_at": None, "desired": "rest"}
