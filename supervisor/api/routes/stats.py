"""GET /containers/{id}/stats: usage, each second or once."""

from __future__ import annotations

import json

import trio

from pysup.supervisor.api.render.stats import Sample, stats
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Response, Sink, Streamed, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import NotFound

_INTERVAL = 1.0
"""Seconds between samples: docker's."""


async def get_stats(engine: Engine, request: Request) -> Response | Streamed:
    """A stream by default. ``one-shot`` answers at once, without a sample before it to compare with."""
    row = engine.roster.find(request.params["id"])
    if not request.query.flag("stream", default=True):
        before = None if request.query.flag("one-shot") else await _sample(engine, row.id)
        if before is not None:
            await trio.sleep(_INTERVAL)
        return json_response(stats(row.id, row.name, await _sample(engine, row.id), before))

    async def write(sink: Sink) -> None:
        before = None
        while True:
            sample = await _sample(engine, row.id)
            await sink.send(json.dumps(stats(row.id, row.name, sample, before)).encode() + b"\n")
            before = sample
            await trio.sleep(_INTERVAL)
            if not _exists(engine, row.id):
                return

    return Streamed(write)


async def _sample(engine: Engine, container_id: str) -> Sample | None:
    usage = await engine.usage(container_id)
    return None if usage is None else Sample(usage, engine.parts.now_ns(), engine.traffic(container_id))


def _exists(engine: Engine, container_id: str) -> bool:
    try:
        engine.roster.find(container_id)
    except NotFound:
        return False
    return True


ROUTES = (Route("GET", "/containers/{id*}/stats", get_stats),)
