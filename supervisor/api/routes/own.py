"""What docker's API has no operation for: the history of runs, ports explained, and the features of this machine."""

from __future__ import annotations

from pysup.supervisor.api.render.history import run_entry
from pysup.supervisor.api.render.ports import port_entry
from pysup.supervisor.api.render.system import own_settings
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Response, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.network import LAST_PORT, PROTOCOLS


async def get_history(engine: Engine, request: Request) -> Response:
    """GET /pysup/containers/{id}/history: every run that is remembered, the oldest first."""
    return json_response([run_entry(run) for run in await engine.history(request.params["id"])])


async def get_features(engine: Engine, _request: Request) -> Response:
    """GET /pysup/info: what was found on this machine, and what each missing feature costs."""
    hierarchy = engine.parts.hierarchy
    return json_response(
        {
            "CgroupVersion": hierarchy.version,
            "Controllers": sorted(hierarchy.controllers),
            "Settings": own_settings(engine.parts.settings),
            "Features": await engine.features(),
        }
    )


async def explain_port(engine: Engine, request: Request) -> Response:
    """GET /pysup/ports/{protocol}/{number}: who has a port of the host, what leads it where, and past which chains."""
    protocol, number = request.params["protocol"], request.params["number"]
    if (
        protocol not in PROTOCOLS
        or not (number.isascii() and number.isdigit())
        or not 0 < int(number[:6]) <= LAST_PORT
    ):
        raise BadRequest(
            f"cannot explain port {number[:20]}/{protocol[:20]}: it is NUMBER/tcp, /udp or /sctp"
        )
    return json_response(port_entry(await engine.explain_port(protocol, int(number)), protocol, int(number)))


ROUTES = (
    Route("GET", "/pysup/ports/{protocol}/{number}", explain_port),
    Route("GET", "/pysup/containers/{id*}/history", get_history),
    Route("GET", "/pysup/info", get_features),
)
