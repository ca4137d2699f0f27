"""Execs: create, start (which takes the connection over), inspect, resize."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pysup.supervisor.api.render.execs import inspect_exec
from pysup.supervisor.api.resumption import POSITIONED, last_frame, positioned
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.attach import content_type
from pysup.supervisor.api.routes.containers import terminal_size
from pysup.supervisor.api.streams import Encode, copy_both_ways, frame, raw
from pysup.supervisor.api.wire import Duplex, Hijacked, Request, Response, empty, json_response
from pysup.supervisor.engine.containers.exec_session import ExecSession
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import StartFailed
from pysup.supervisor.logs.lines import Mark
from pysup.supervisor.spec.detach_keys import parse_detach_keys
from pysup.supervisor.spec.fields import Fields

EXEC = "Pysup-Exec"
"""The header with the id of the exec whose streams follow."""
_STDERR = 2


async def create_exec(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/exec."""
    exec_id = await engine.execs.create(request.params["id"], await _asked(request), request.caller)
    return json_response({"Id": exec_id}, 201)


async def start_exec(engine: Engine, request: Request) -> Response | Hijacked:
    """POST /exec/{id}/start. What is wrong in itself is refused before the connection is taken over."""
    body = Fields("start exec", await request.json())
    row = engine.execs.find(request.params["id"])
    rows, columns = body.size("ConsoleSize")
    plain = body.flag("Tty")  # this and not the exec's own decides how the output comes
    if body.flag("Detach"):
        session = engine.execs.open(row.id, request.caller)
        with engine.execs.attended(session):
            await engine.execs.start(session)
        return empty(200)
    kind, encode = content_type(request, tty=plain), raw if plain else frame

    async def run(duplex: Duplex) -> None:
        """The head goes before the process is there: docker-py loses what comes in one packet with it."""
        session = engine.execs.open(row.id, request.caller)
        with engine.execs.attended(session):
            await duplex.begin(kind)
            if not await _started(engine, session, duplex, encode):
                return
            if session.tty and rows and columns:
                session.resize(rows, columns)
            await _copy(session, duplex, encode, _detach_keys(session, json.loads(row.process)))

    return Hijacked(run)


async def exec_at_once(engine: Engine, request: Request) -> Hijacked:
    """POST /pysup/containers/{id}/exec: create, start, output and exit code in one exchange; docker needs three.

    The body is that of a create. A program that cannot be executed is an error answer. The output comes in the frames
    of api/resumption.py, a terminal's too, and the last one has ``{"ExitCode"}``: without it, the output was broken
    off. There is no place to go on at. A terminal is hung up when its client is gone without the detach keys.
    """
    body = await _asked(request)

    async def run(duplex: Duplex) -> None:
        session = engine.execs.begin(request.params["id"], body, request.caller)
        with engine.execs.attended(session, hangs_up=True):
            await engine.execs.start(session)
            await duplex.begin(POSITIONED, (EXEC, session.id))
            await _copy(session, duplex, _placeless, _detach_keys(session, body))
            if session.exit_code is not None:
                await duplex.send_all(last_frame(json.dumps({"ExitCode": session.exit_code}).encode()))

    return Hijacked(run)


async def _asked(request: Request) -> dict[str, Any]:
    """The body of a create. docker-py's is ``detachKeys``: Go reads names in any case."""
    body = await request.json()
    asked = Fields("create exec", body)
    keys = {"DetachKeys": asked.raw("detachKeys")} if "detachKeys" in asked else {}
    return {**keys, **(body or {})}


def _detach_keys(session: ExecSession, body: Mapping[str, str]) -> bytes:
    return parse_detach_keys(body.get("DetachKeys") or "") if session.tty else b""


async def _copy(session: ExecSession, duplex: Duplex, encode: Encode, keys: bytes) -> None:
    into = session if session.has_stdin else None
    await copy_both_ways(duplex, session.chunks(), into, encode=encode, keys=keys)


def _placeless(stream: int, data: bytes) -> bytes:
    return positioned(stream, data, Mark(0))


async def _started(engine: Engine, session: ExecSession, duplex: Duplex, encode: Encode) -> bool:
    """A failure is told on the stream, as docker does; clients read the exit code by inspect."""
    try:
        await engine.execs.start(session)
    except StartFailed as error:
        await duplex.send_all(encode(_STDERR, f"{error}\r\n".encode()))
        return False
    return True


async def get_exec(engine: Engine, request: Request) -> Response:
    """GET /exec/{id}/json."""
    return json_response(inspect_exec(engine.execs.find(request.params["id"])))


async def resize_exec(engine: Engine, request: Request) -> Response:
    """POST /exec/{id}/resize?h=&w=."""
    rows, columns = terminal_size(request)
    engine.execs.resize(request.params["id"], rows, columns)
    return empty(200)


ROUTES = (
    Route("POST", "/containers/{id*}/exec", create_exec),
    Route("POST", "/pysup/containers/{id*}/exec", exec_at_once),
    Route("POST", "/exec/{id}/start", start_exec),
    Route("GET", "/exec/{id}/json", get_exec),
    Route("POST", "/exec/{id}/resize", resize_exec),
)
