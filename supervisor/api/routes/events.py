"""GET /events: what has happened, then what happens, one JSON object a line."""

from __future__ import annotations

import json

from pysup.supervisor.api import filters
from pysup.supervisor.api.render.event import event_message
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.moments import moment
from pysup.supervisor.api.selection import event_wanted
from pysup.supervisor.api.wire import Request, Sink, Streamed
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.event_feed import event_feed


async def get_events(engine: Engine, request: Request) -> Streamed:
    """The head goes out once nothing can be missed any more: clients wait for it before they act."""
    wanted = filters.parse(request.query.text("filters"), filters.EVENTS)
    since, until = moment(request, "since"), moment(request, "until")

    async def write(sink: Sink) -> None:
        with event_feed(engine.parts, since, until) as feed:
            await sink.begin()
            while (rows := await feed.more()) is not None:
                lines = [json.dumps(event_message(row)) + "\n" for row in rows if event_wanted(row, wanted)]
                if lines:
                    await sink.send("".join(lines).encode())

    return Streamed(write)


ROUTES = (Route("GET", "/events", get_events),)
