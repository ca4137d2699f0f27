"""The daemon itself: _ping, version, info, system/df, auth."""

from __future__ import annotations

import os

from pysup.store import containers, images
from pysup.supervisor.api.machine import machine
from pysup.supervisor.api.render.system import Machine, info, version
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Response, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.limited import no_way_out
from pysup.supervisor.engine.networks import ownership
from pysup.supervisor.engine.upper_layers import lack
from pysup.supervisor.runtime.cgroups.none import WHY as NO_CGROUPS
from pysup.supervisor.runtime.filesystems import type_of
from pysup.supervisor.spec.timestamps import rfc3339

_PING = (
    ("Builder-Version", "1"),
    ("Swarm", "inactive"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
)
"""Beside what every answer has (connection.py): the API version, by which clients negotiate."""


async def get_ping(_engine: Engine, _request: Request) -> Response:
    """GET /_ping."""
    return Response(200, b"OK", "text/plain; charset=utf-8", _PING)


async def head_ping(_engine: Engine, _request: Request) -> Response:
    """HEAD /_ping: the same head, with a length of 0."""
    return Response(200, b"", "text/plain; charset=utf-8", _PING)


def machine_of(engine: Engine) -> Machine:
    """The facts of the engine's machine."""
    return machine(engine.parts.hierarchy.version, engine.parts.hierarchy.controllers)


async def get_version(engine: Engine, _request: Request) -> Response:
    """GET /version."""
    return json_response(version(machine_of(engine)))


async def _warnings(engine: Engine) -> list[str]:
    """As docker's command prints them."""
    limits = "" if engine.parts.hierarchy.version else f"no limits, no pause: {NO_CGROUPS}"
    cause = await lack(engine.parts)
    starts = f"containers cannot start: {cause}" if cause else ""
    networks = (await ownership.feature(engine.parts.link))["cost"]
    return [f"WARNING: {told}" for told in (limits, no_way_out(), networks, starts) if told]


async def get_info(engine: Engine, _request: Request) -> Response:
    """GET /info."""
    rows = await engine.parts.store.query(containers.list_containers)
    found = await engine.parts.store.query(images.list_images)
    now = rfc3339(engine.parts.now_ns())
    facts = info(
        machine_of(engine),
        engine.parts.settings,
        rows,
        images=len(found),
        warnings=await _warnings(engine),
        filesystem=type_of(engine.parts.settings.root),
        now=now,
        environment=os.environ,
    )
    return json_response(facts)


ROUTES = (
    Route("GET", "/_ping", get_ping),
    Route("HEAD", "/_ping", head_ping),
    Route("GET", "/version", get_version),
    Route("GET", "/info", get_info),
)
