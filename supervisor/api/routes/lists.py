"""GET /containers/json and POST /containers/prune: containers by docker's filters."""

from __future__ import annotations

from functools import partial
from sqlite3 import Connection

from pysup.store import containers
from pysup.store.containers import Container
from pysup.supervisor.api import filters
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
        return json_response([list_entry(row, now, volumes, await engine.sizes(row.id)) for row in rows])
    return await engine.parts.store.query(partial(_rendered, query, now, volumes))


def _select(query: ContainerQuery, conn: Connection) -> list[Container]:
    return select_containers(containers.list_containers(conn), query)


def _rendered(query: ContainerQuery, now: int, volumes: str, conn: Connection) -> Response:
    return json_response([list_entry(row, now, volumes) for row in _select(query, conn)])


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
    )


def _earliest(engine: Engine, wanted: Filters, key: str) -> int | None:
    times = [engine.find(ref).created_at for ref in wanted.get(key, ())]
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
