"""What docker's API has no operation for: the history of runs, and the features of this machine."""

from __future__ import annotations

from pysup.supervisor.api.render.history import run_entry
from pysup.supervisor.api.render.system import own_settings
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Response, json_response
from pysup.supervisor.engine.engine import Engine


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
            "Features": engine.features(),
        }
    )


ROUTES = (
    Route("GET", "/pysup/containers/{id}/history", get_history),
    Route("GET", "/pysup/info", get_features),
)
