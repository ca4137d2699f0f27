"""Volumes: list, inspect, create, remove, prune."""

from __future__ import annotations

from pysup.store import volumes
from pysup.store.volumes import Volume as Row
from pysup.supervisor.api import filters
from pysup.supervisor.api.filters import Filters
from pysup.supervisor.api.render.volume import volume
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.selection import prune_labels_match
from pysup.supervisor.api.wire import Request, Response, empty, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.spec.container import Volume
from pysup.supervisor.spec.fields import Fields


async def list_volumes(engine: Engine, request: Request) -> Response:
    """GET /volumes."""
    wanted = filters.parse(request.query.text("filters"), filters.VOLUMES)
    dangling = wanted.flag("dangling")
    rows = await engine.parts.store.query(volumes.list_volumes)
    used = await engine.parts.store.query(volumes.users)
    chosen = [row for row in rows if _wanted(row, wanted) and dangling in (None, row.name not in used)]
    place = engine.parts.settings.volumes_dir
    return json_response({"Volumes": [volume(row, place) for row in chosen], "Warnings": None})


def _wanted(row: Row, wanted: Filters) -> bool:
    return wanted.name(row.name) and wanted.labels(row.labels) and wanted.any_of("driver", row.driver)


async def get_volume(engine: Engine, request: Request) -> Response:
    """GET /volumes/{name}."""
    row = engine.parts.volumes.get(request.params["name"])
    return json_response(volume(row, engine.parts.settings.volumes_dir))


async def create_volume(engine: Engine, request: Request) -> Response:
    """POST /volumes/create: the volume of this name, as it is if it is there already."""
    body = Fields("create volume", await request.json())
    if body.raw("ClusterVolumeSpec"):
        raise body.lacking("a cluster volume")
    wanted = Volume(
        body.text("Name"),
        driver=body.text("Driver", "local"),
        options=tuple(body.mapping("DriverOpts").items()),
        labels=tuple(body.mapping("Labels").items()),
    )
    row = await engine.parts.volumes.create(wanted, request.caller)
    return json_response(volume(row, engine.parts.settings.volumes_dir), 201)


async def remove_volume(engine: Engine, request: Request) -> Response:
    """DELETE /volumes/{name}?force=."""
    force = request.query.flag("force")
    await engine.parts.volumes.remove(request.params["name"], request.caller, force=force)
    return empty()


async def prune_volumes(engine: Engine, request: Request) -> Response:
    """POST /volumes/prune: what no container uses and nobody has named (all=true: or has named)."""
    wanted = filters.parse(request.query.text("filters"), filters.VOLUME_PRUNE)
    everything = wanted.flag("all")
    rows = await engine.parts.store.query(volumes.list_volumes)
    used = await engine.parts.store.query(volumes.users)
    names = [
        row.name
        for row in rows
        if row.name not in used and (everything or row.anonymous) and prune_labels_match(wanted, row.labels)
    ]
    pruned = await engine.parts.volumes.prune(names, request.caller)
    return json_response({"VolumesDeleted": pruned.names or None, "SpaceReclaimed": pruned.freed})


ROUTES = (
    Route("GET", "/volumes", list_volumes),
    Route("POST", "/volumes/create", create_volume),
    Route("POST", "/volumes/prune", prune_volumes),
    Route("GET", "/volumes/{name}", get_volume),
    Route("DELETE", "/volumes/{name}", remove_volume),
)
