"""With --rm, the end of a run that was taken over waits for who was attached to it by an earlier engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import trio
import trio.testing
from helpers.rows import container

from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.stdio import RETURN_WITHIN, ContainerStdio
from pysup.supervisor.spec.from_docker import normalise

BODY = {"Image": "x", "Cmd": ["x"], "AttachStdout": True, "HostConfig": {"AutoRemove": True}}


async def waited(stdio: ContainerStdio) -> float:
    """Seconds of the test's own clock."""
    before = trio.current_time()
    await stdio.clients_returned()
    return trio.current_time() - before


async def test_the_next_run_waits_for_nobody(autojump_clock: trio.testing.MockClock) -> None:
    """It was restarted: nobody can have been attached to that run by another engine."""
    assert autojump_clock.autojump_threshold == 0
    parts = cast("Any", SimpleNamespace())
    stdio = ContainerStdio(parts, Record(parts, container(BODY), normalise(BODY, {}).spec), lambda: None)
    assert await waited(stdio) == 0
    stdio.taken_over()
    assert await waited(stdio) == RETURN_WITHIN
    stdio.run_ended()
    assert await waited(stdio) == 0
