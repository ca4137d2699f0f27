"""GET /events: what has happened, then what happens, one JSON object a line."""

from __future__ import annotations

import json

from pysup.store.events import Event
from pysup.supervisor.api import filters
from pysup.supervisor.api.render.event import event_message
from pysup.supervisor.api.resumption import POSITION, is_resumable
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
    resumable = is_resumable(request)
    after = request.query.integer("resume") if "resume" in request.query else None

    def line(row: Event) -> str:
        position = {"Position": row.id} if resumable else {}
        return json.dumps(event_message(row) | position) + "\n"

    async def write(sink: Sink) -> None:
        with event_feed(engine.parts, since, until, after) as feed:
            await sink.begin(*([(POSITION, str(feed.last))] if resumable and since is None else []))
            while (rows := await feed.more()) is not None:
                lines = [line(row) for row in rows if event_wanted(row, wanted)]
                if lines:
                    await sink.send("".join(lines).encode())

    return Streamed(write)


ROUTES = (Route("GET", "/events", get_events),)
