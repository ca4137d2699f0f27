"""POST /containers/{id}/wait: the head goes out as soon as no end can be missed, the body when it has come.

docker run sends this, and starts the container only once it has seen the head (WIRE.md).
"""

from __future__ import annotations

import json
from typing import Any, cast, get_args

import trio

from pysup.store.runs import Run
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Sink, Streamed
from pysup.supervisor.engine.containers.waiting import Condition
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest, PysupError

_FAILED = 125
"""What docker's CLI exits with if waiting fails."""


async def wait_container(engine: Engine, request: Request) -> Streamed:
    """Wait for the end of a run, or for the removal. ``run`` (pysup's own): the number of that run.

    With ``removed`` the exit code is that of the last run, so ``run`` says nothing there.
    """
    condition = request.query.text("condition") or "not-running"
    if condition not in get_args(Condition):
        raise BadRequest(f"cannot wait: invalid condition: {condition[:64]!r}")
    container_id = engine.roster.find(request.params["id"]).id
    number = request.query.integer("run")

    async def write(sink: Sink) -> None:
        answer: dict[str, Any] = {}

        async def wait(task_status: trio.TaskStatus[None]) -> None:
            code = await engine.wait(container_id, cast("Condition", condition), task_status=task_status)
            answer.update(Error=None, StatusCode=code)

        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(wait)
                ended = _ended(engine, container_id, number) if number and condition != "removed" else None
                await sink.begin()
                if ended is not None:  # it will have no other exit
                    nursery.cancel_scope.cancel()
                    answer.update(Error=None, StatusCode=ended.exit_code or 0)
        except* PysupError as group:
            answer.update(Error={"Message": str(group.exceptions[0])}, StatusCode=_FAILED)
        await sink.end(json.dumps(answer).encode() + b"\n")

    return Streamed(write)


def _ended(engine: Engine, container_id: str, number: int) -> Run | None:
    return engine.ended_run(container_id, engine.followed_run(container_id, number))


ROUTES = (Route("POST", "/containers/{id*}/wait", wait_container),)
