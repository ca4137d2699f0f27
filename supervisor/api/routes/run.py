"""POST /pysup/run: create, start and wait in one exchange and one transaction; docker needs three.

The body is that of /containers/create. The answer comes in lines of JSON: ``{"Id", "Warnings"}`` as soon as the
process runs, then, if a ``condition`` was given, what /containers/{id}/wait answers. A container that cannot be
started does not stay, and the answer is the error.
"""

from __future__ import annotations

import json
from functools import partial
from typing import cast, get_args

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Sink, Streamed
from pysup.supervisor.engine.containers.waiting import Condition, wait_for
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest


async def run_container(engine: Engine, request: Request) -> Streamed:
    """Run a container, and tell of its end if that is asked for."""
    condition, name = request.query.text("condition"), request.query.text("name") or None
    if condition and condition not in get_args(Condition):
        raise BadRequest(f"cannot run: invalid condition: {condition[:64]!r}")
    body = await request.json()

    async def write(sink: Sink) -> None:
        container = await engine.draft(body, name, request.caller)
        with engine.parts.news.subscribe(container.id) as happenings:
            await engine.run(container, request.caller)
            await sink.send(_line({"Id": container.id, "Warnings": container.warnings}))
            if condition:
                row = container.record.row
                code = await wait_for(
                    cast("Condition", condition), row, happenings, partial(engine.roster.state_of, row.id)
                )
                await sink.end(_line({"Error": None, "StatusCode": code}))

    return Streamed(write)


def _line(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"


ROUTES = (Route("POST", "/pysup/run", run_container),)
