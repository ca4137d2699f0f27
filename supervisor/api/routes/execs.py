"""Execs: create, start (which takes the connection over), inspect, resize."""

from __future__ import annotations

import json

from pysup.supervisor.api.render.execs import inspect_exec
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.attach import content_type
from pysup.supervisor.api.routes.containers import terminal_size
from pysup.supervisor.api.streams import copy_both_ways
from pysup.supervisor.api.wire import Duplex, Hijacked, Request, Response, empty, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.exec_session import ExecSession
from pysup.supervisor.spec.detach_keys import parse_detach_keys
from pysup.supervisor.spec.fields import Fields


async def create_exec(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/exec."""
    exec_id = await engine.execs.create(request.params["id"], await request.json(), request.caller)
    return json_response({"Id": exec_id}, 201)


async def start_exec(engine: Engine, request: Request) -> Response | Hijacked:
    """POST /exec/{id}/start: errors are told before the connection is taken over."""
    body = Fields("start exec", await request.json())
    row = engine.execs.find(request.params["id"])
    keys = parse_detach_keys(json.loads(row.process).get("DetachKeys") or "")
    if body.flag("Detach"):
        session = await engine.execs.start(row.id)
        session.abandon()
        return empty(200)

    async def run(duplex: Duplex) -> None:
        session = await engine.execs.start(row.id)
        try:
            _resize(session, body.raw("ConsoleSize"))
            await duplex.begin(content_type(request, tty=session.tty))
            into = session if session.has_stdin else None
            watched = keys if session.tty else b""
            await copy_both_ways(duplex, session.chunks(), into, tty=session.tty, keys=watched)
        finally:
            session.abandon()

    return Hijacked(run)


def _resize(session: ExecSession, size: object) -> None:
    """Height and width that the client knows already, if it is a terminal's."""
    match size:
        case [int(rows), int(columns)] if session.tty and 0 < rows < 1 << 16 and 0 < columns < 1 << 16:
            session.resize(rows, columns)


async def get_exec(engine: Engine, request: Request) -> Response:
    """GET /exec/{id}/json."""
    return json_response(inspect_exec(engine.execs.find(request.params["id"])))


async def resize_exec(engine: Engine, request: Request) -> Response:
    """POST /exec/{id}/resize?h=&w=."""
    rows, columns = terminal_size(request)
    engine.execs.resize(request.params["id"], rows, columns)
    return empty(200)


ROUTES = (
    Route("POST", "/containers/{id}/exec", create_exec),
    Route("POST", "/exec/{id}/start", start_exec),
    Route("GET", "/exec/{id}/json", get_exec),
    Route("POST", "/exec/{id}/resize", resize_exec),
)
