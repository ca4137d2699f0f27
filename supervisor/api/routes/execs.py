"""Execs: create, start (which takes the connection over), inspect, resize."""

from __future__ import annotations

import json

from pysup.store.execs import Exec as Row
from pysup.supervisor.api.render.execs import inspect_exec
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.attach import content_type
from pysup.supervisor.api.routes.containers import terminal_size
from pysup.supervisor.api.streams import copy_both_ways, frame
from pysup.supervisor.api.wire import Duplex, Hijacked, Request, Response, empty, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import StartFailed
from pysup.supervisor.spec.detach_keys import parse_detach_keys
from pysup.supervisor.spec.fields import Fields

_STDERR = 2


async def create_exec(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/exec."""
    exec_id = await engine.execs.create(request.params["id"], await request.json(), request.caller)
    return json_response({"Id": exec_id}, 201)


async def start_exec(engine: Engine, request: Request) -> Response | Hijacked:
    """POST /exec/{id}/start. What is wrong in itself is refused before the connection is taken over."""
    body = Fields("start exec", await request.json())
    row = engine.execs.find(request.params["id"])
    rows, columns = body.size("ConsoleSize")
    if body.flag("Detach"):
        session = await engine.execs.start(row.id)
        session.abandon()
        return empty(200)
    keys = parse_detach_keys(json.loads(row.process).get("DetachKeys") or "")

    async def run(duplex: Duplex) -> None:
        try:
            session = await engine.execs.start(row.id)
        except StartFailed as error:
            await _tell_failure(duplex, request, row, error)
            return
        try:
            if session.tty and rows and columns:
                session.resize(rows, columns)
            await duplex.begin(content_type(request, tty=session.tty))
            into = session if session.has_stdin else None
            watched = keys if session.tty else b""
            await copy_both_ways(duplex, session.chunks(), into, tty=session.tty, keys=watched)
        finally:
            session.abandon()

    return Hijacked(run)


async def _tell_failure(duplex: Duplex, request: Request, row: Row, error: StartFailed) -> None:
    """As docker does: the stream is opened and carries the error; clients read the exit code by inspect."""
    tty = bool(json.loads(row.process).get("Tty"))
    text = f"{error}\r\n".encode()
    await duplex.begin(content_type(request, tty=tty))
    await duplex.send_all(text if tty else frame(_STDERR, text))


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
