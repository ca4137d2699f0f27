"""GET /containers/json and POST /containers/prune: containers by docker's filters."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from sqlite3 import Connection

from pysup.store import containers, endpoints
from pysup.store.containers import Container
from pysup.supervisor.api import filters
from pysup.supervisor.api.attached import all_attached
from pysup.supervisor.api.filters import Filters
from pysup.supervisor.api.render.container import list_entry
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.selection import (
    ContainerQuery,
    check_container_filters,
    removable,
    select_containers,
)
from pysup.supervisor.api.wire import Request, Response, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest, Conflict, NotFound


async def list_containers(engine: Engine, request: Request) -> Response:
    """GET /containers/json. Ten thousand rows take a while to render: that is done in the reader's thread."""
    query, now = _query(engine, request), engine.parts.now_ns()
    volumes = engine.parts.settings.volumes_dir
    if request.query.flag("size"):
        rows = await engine.parts.store.query(partial(_select, query))
        known = await engine.parts.store.query(all_attached)
        return json_response(
            [list_entry(row, now, volumes, known[row.id], await engine.sizes(row.id)) for row in rows]
        )
    return await engine.parts.store.query(partial(_rendered, query, now, volumes))


def _select(query: ContainerQuery, conn: Connection) -> list[Container]:
    return select_containers(containers.list_containers(conn), query)


def _rendered(query: ContainerQuery, now: int, volumes: str, conn: Connection) -> Response:
    known = all_attached(conn)
    return json_response([list_entry(row, now, volumes, known[row.id]) for row in _select(query, conn)])


def _query(engine: Engine, request: Request) -> ContainerQuery:
    wanted = filters.parse(request.query.text("filters"), filters.CONTAINERS)
    check_container_filters(wanted)
    return ContainerQuery(
        wanted,
        everything=request.query.flag("all"),
        limit=request.query.integer("limit"),
        created_before=_earliest(engine, wanted, "before"),
        created_since=_earliest(engine, wanted, "since"),
        images=_ancestors(engine, wanted),
        on_networks=_guests(engine, wanted),
        publishing=_publishers(engine, wanted),
    )


def _earliest(engine: Engine, wanted: Filters, key: str) -> int | None:
    times = [engine.roster.find(ref).created_at for ref in wanted.get(key, ())]
    return min(times) if times else None


def _ancestors(engine: Engine, wanted: Filters) -> frozenset[str] | None:
    """An image that there is not is the ancestor of none, as in docker."""
    if "ancestor" not in wanted:
        return None
    found = set()
    for ref in wanted["ancestor"]:
        try:
            found.add(engine.images.resolve(ref).id)
        except (NotFound, BadRequest):
            continue
    return frozenset(found)


def _guests(engine: Engine, wanted: Filters) -> frozenset[str]:
    """Those on any of the networks; a network that there is not has none."""
    found: set[str] = set()
    conn = engine.parts.store.read()
    for ref in wanted.get("network", ()):
        with suppress(NotFound, BadRequest):
            network = engine.parts.networks.find(ref)
            found |= {endpoint.container_id for endpoint in endpoints.of_network(conn, network.id)}
    return frozenset(found)


def _publishers(engine: Engine, wanted: Filters) -> frozenset[str]:
    """Those with a port of the host, or of their own, that is named: ``80``, ``80/tcp``."""
    if "publish" not in wanted:
        return frozenset()
    ports = endpoints.ports(engine.parts.store.read())
    asked = {word if "/" in word else f"{word}/tcp" for word in wanted["publish"]}
    return frozenset(
        port.container_id
        for port in ports
        if not asked.isdisjoint(
            {f"{port.host_port}/{port.protocol}", f"{port.container_port}/{port.protocol}"}
        )
    )


async def prune_containers(engine: Engine, request: Request) -> Response:
    """POST /containers/prune: remove what is at rest."""
    wanted = filters.parse(request.query.text("filters"), filters.PRUNE)
    until = filters.until_ns(wanted, engine.parts.now_ns())
    rows = await engine.parts.store.query(partial(containers.list_containers, states=("created", "exited")))
    removed, freed = [], 0
    for row in rows:
        if removable(row, wanted, until):
            size = await _remove(engine, row, request)
            if size is not None:
                removed.append(row.id)
                freed += size
    return json_response({"ContainersDeleted": removed or None, "SpaceReclaimed": freed})


async def _remove(engine: Engine, row: Container, request: Request) -> int | None:
    """The bytes that this frees; None if somebody started or removed it meanwhile."""
    try:
        size = (await engine.sizes(row.id)).rw
        await engine.remove(row.id, request.caller)
    except (Conflict, NotFound):
        return None
    return size


ROUTES = (
    Route("GET", "/containers/json", list_containers),
    Route("POST", "/containers/prune", prune_containers),
)
