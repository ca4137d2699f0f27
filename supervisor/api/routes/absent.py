"""What docker has and pysup lacks, so far or for good: each path answers as docker's clients expect, none hangs.

Looking for a thing that cannot exist is 404 (``docker inspect`` asks every kind in turn), doing something with
it is 501, and what belongs to a swarm is docker's own 503.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Response, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import NotFound, NotSupported

Handler = Callable[[Engine, Request], Awaitable[Response]]


def missing(kind: str) -> Handler:
    """There is no such thing."""

    async def handle(_engine: Engine, request: Request) -> Response:
        name = request.params["name"]
        raise NotFound(f"cannot find {kind} {name}: no such {kind}: {name}")

    return handle


def lacking(what: str) -> Handler:
    """Not there yet."""

    async def handle(_engine: Engine, _request: Request) -> Response:
        raise NotSupported(f"cannot {what}: not supported yet")

    return handle


async def no_swarm(_engine: Engine, _request: Request) -> Response:
    """Docker's answer outside a swarm."""
    return json_response({"message": "This node is not a swarm manager. pysup has no swarm."}, 503)


async def list_plugins(_engine: Engine, _request: Request) -> Response:
    """GET /plugins: none."""
    return json_response([])


_LACKING = (
    ("GET", "/containers/{name}/attach/ws", "attach by websocket"),
    ("GET", "/containers/{name}/checkpoints", "list checkpoints"),
    ("POST", "/containers/{name}/checkpoints", "make a checkpoint"),
    ("POST", "/plugins/create", "create a plugin"),
    ("POST", "/plugins/pull", "install a plugin"),
)

_SWARM = ("configs", "nodes", "secrets", "services", "swarm", "tasks")


def _swarm_routes() -> list[Route]:
    """Whatever is asked of a swarm."""
    return [
        Route(method, path, no_swarm)
        for kind in _SWARM
        for method in ("GET", "POST", "DELETE")
        for path in (f"/{kind}", f"/{kind}/{{name*}}")
    ]


ROUTES = (
    Route("GET", "/plugins", list_plugins),
    Route("GET", "/plugins/{name*}/json", missing("plugin")),
    Route("DELETE", "/plugins/{name*}", missing("plugin")),
    *(Route(method, path, lacking(what)) for method, path, what in _LACKING),
    *_swarm_routes(),
)
