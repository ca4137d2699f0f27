"""Networks: the two that need no code, none and host. Making others comes later."""

from __future__ import annotations

from pysup.supervisor.api import filters
from pysup.supervisor.api.render import networks
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Response, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import NotFound
from pysup.supervisor.spec.timestamps import NEVER


async def list_networks(_engine: Engine, request: Request) -> Response:
    """GET /networks."""
    wanted = filters.parse(request.query.text("filters"), filters.NETWORKS)
    shown = [networks.network(name, NEVER) for name in networks.NAMES]
    return json_response(
        [
            one
            for one in shown
            if wanted.name(one["Name"])
            and wanted.begins("id", one["Id"])
            and wanted.any_of("driver", one["Driver"])
            and wanted.any_of("scope", "local")
            and wanted.any_of("type", "builtin")
            and wanted.labels({})
            and not wanted.flag("dangling")
        ]
    )


async def inspect_network(_engine: Engine, request: Request) -> Response:
    """GET /networks/{id}."""
    name = networks.find(request.params["id"])
    if name is None:
        raise NotFound(
            f"cannot find network {request.params['id']}: network {request.params['id']} not found"
        )
    return json_response(networks.network(name, NEVER))


ROUTES = (
    Route("GET", "/networks", list_networks),
    Route("GET", "/networks/{id}", inspect_network),
)
