"""Networks: list, inspect, create, remove, prune; containers come on them and leave."""

from __future__ import annotations

from functools import partial
from sqlite3 import Connection
from typing import Any

from pysup.store import containers, endpoints, networks
from pysup.store.networks import Network as Row
from pysup.supervisor.api import filters
from pysup.supervisor.api.filters import Filters
from pysup.supervisor.api.render.networks import Guest, network
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.selection import prune_labels_match
from pysup.supervisor.api.wire import Request, Response, empty, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.networks.places import places_of
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.joining import joining
from pysup.supervisor.spec.networks import wanted_network

Json = dict[str, Any]


async def list_networks(engine: Engine, request: Request) -> Response:
    """GET /networks."""
    wanted = filters.parse(request.query.text("filters"), filters.NETWORKS)
    return json_response(await engine.parts.store.query(partial(_listed, wanted=wanted)))


def _listed(conn: Connection, wanted: Filters) -> list[Json]:
    return [
        network(row, networks.subnets(conn, row.id))
        for row in networks.list_networks(conn)
        if _wanted(row, wanted, used=bool(endpoints.of_network(conn, row.id)))
    ]


def _wanted(row: Row, wanted: Filters, *, used: bool) -> bool:
    dangling = wanted.flag("dangling")
    return (
        wanted.name(row.name)
        and wanted.begins("id", row.id)
        and wanted.any_of("driver", row.driver)
        and wanted.any_of("scope", "local")
        and wanted.any_of("type", "builtin" if row.builtin else "custom")
        and wanted.labels(row.labels)
        and (dangling is None or dangling is (not used and not row.builtin))
    )


async def inspect_network(engine: Engine, request: Request) -> Response:
    """GET /networks/{id}."""
    row = engine.parts.networks.find(request.params["id"])
    return json_response(await engine.parts.store.query(partial(_inspected, row=row)))


def _inspected(conn: Connection, row: Row) -> Json:
    return network(row, networks.subnets(conn, row.id), list(_guests(conn, row)))


def _guests(conn: Connection, row: Row) -> list[Guest]:
    """Those that are not at rest, as docker shows them."""
    found = []
    for endpoint in endpoints.alive_on(conn, row.id):
        holder = containers.get(conn, endpoint.container_id)
        place = next(one for one in places_of(conn, endpoint.container_id) if one.endpoint.id == endpoint.id)
        found.append(Guest(endpoint.container_id, holder.name if holder else "", place))
    return found


async def create_network(engine: Engine, request: Request) -> Response:
    """POST /networks/create."""
    row = await engine.parts.networks.create(wanted_network(await request.json()), request.caller)
    return json_response({"Id": row.id, "Warning": ""}, 201)


async def remove_network(engine: Engine, request: Request) -> Response:
    """DELETE /networks/{id}."""
    await engine.parts.networks.remove(request.params["id"], request.caller)
    return empty()


async def connect(engine: Engine, request: Request) -> Response:
    """POST /networks/{id}/connect: a container that runs has the new interface at once."""
    body = Fields("connect container", await request.json())
    row = engine.parts.networks.find(request.params["id"], "connect to")
    wanted = joining(body.inner("EndpointConfig"), row.id)
    await engine.connect(body.text("Container"), wanted, request.caller)
    return empty(200)


async def disconnect(engine: Engine, request: Request) -> Response:
    """POST /networks/{id}/disconnect. There is nothing that Force would have to overcome."""
    body = Fields("disconnect container", await request.json())
    row = engine.parts.networks.find(request.params["id"], "disconnect from")
    await engine.disconnect(body.text("Container"), row, request.caller)
    return empty(200)


async def prune_networks(engine: Engine, request: Request) -> Response:
    """POST /networks/prune: those that no container is on."""
    wanted = filters.parse(request.query.text("filters"), filters.PRUNE)
    until = filters.until_ns(wanted, engine.parts.now_ns())
    rows = [
        row
        for row in await engine.parts.store.query(networks.list_networks)
        if prune_labels_match(wanted, row.labels) and (until is None or row.created_at < until)
    ]
    return json_response({"NetworksDeleted": await engine.parts.networks.prune(rows, request.caller) or None})


ROUTES = (
    Route("GET", "/networks", list_networks),
    Route("POST", "/networks/create", create_network),
    Route("POST", "/networks/prune", prune_networks),
    Route("GET", "/networks/{id*}", inspect_network),
    Route("DELETE", "/networks/{id*}", remove_network),
    Route("POST", "/networks/{id*}/connect", connect),
    Route("POST", "/networks/{id*}/disconnect", disconnect),
)
