"""One container: create, inspect, its life, and small things about it."""

from __future__ import annotations

from pysup.store import execs
from pysup.store.containers import Container as Row
from pysup.supervisor.api.attached import attached
from pysup.supervisor.api.render.container import Places, inspect
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.image_archives import platform_of_query
from pysup.supervisor.api.wire import Request, Response, empty, json_response
from pysup.supervisor.engine.containers.specs import spec_of
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest, NotFound, NotSupported
from pysup.supervisor.spec.signals import parse_signal


async def create_container(engine: Engine, request: Request) -> Response:
    """POST /containers/create?id=. ``id`` (pysup's own): which it shall have."""
    body, platform = await request.json(), platform_of_query(request.query)
    if platform is not None and isinstance(body, dict) and isinstance(body.get("Image"), str):
        engine.images.check_platform(body["Image"], platform)
    name, chosen = request.query.text("name") or None, request.query.text("id")
    created = await engine.create(body, name, request.caller, chosen=chosen)
    return json_response({"Id": created.id, "Warnings": created.warnings}, 201)


async def inspect_container(engine: Engine, request: Request) -> Response:
    """GET /containers/{id}/json."""
    row = engine.roster.find(request.params["id"])
    running = [
        one.id for one in execs.list_execs(engine.parts.store.read(), row.id) if one.state == "running"
    ]
    settings = engine.parts.settings
    places = Places(settings.container_dir(row.id), _lower(engine, row), settings.volumes_dir)
    sizes = await engine.sizes(row.id) if request.query.flag("size") else None
    return json_response(
        inspect(row, places, attached(engine.parts.store.read(), row.id), execs=running, sizes=sizes)
    )


def _lower(engine: Engine, row: Row) -> tuple[str, ...]:
    """The directories of its layers; none if they are gone (--rootfs names a directory of the user's)."""
    try:
        return spec_of(engine.parts.images, row).rootfs.lower
    except NotFound:
        return ()


# -- its life ------------------------------------------------------------------------------------------------


async def start_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/start?run=. ``run`` (pysup's own): the run that another is to follow."""
    if request.query.text("checkpoint") or request.query.text("checkpoint-dir"):
        raise NotSupported("cannot start container: --checkpoint is not supported yet")
    await engine.start(request.params["id"], request.caller, run=_run(request))
    return empty()


async def stop_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/stop?t=&signal=."""
    number, timeout = _signal(request, "stop"), _timeout(request)
    await engine.stop(request.params["id"], request.caller, signal=number, timeout=timeout)
    return empty()


async def restart_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/restart?t=&signal=&run=. ``run``: as for start."""
    number, timeout, run = _signal(request, "restart"), _timeout(request), _run(request)
    await engine.restart(request.params["id"], request.caller, signal=number, timeout=timeout, run=run)
    return empty()


async def kill_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/kill?signal=."""
    number = _signal(request, "kill") or 9
    await engine.kill(request.params["id"], number, request.caller)
    return empty()


async def pause_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/pause."""
    await engine.pause(request.params["id"], request.caller)
    return empty()


async def unpause_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/unpause."""
    await engine.unpause(request.params["id"], request.caller)
    return empty()


async def remove_container(engine: Engine, request: Request) -> Response:
    """DELETE /containers/{id}?force=&v=&link=. ``v``: anonymous volumes, too; ``link``: a link alone, ID/ALIAS."""
    named = request.params["id"]
    if request.query.flag("link"):
        await engine.unlink(named, request.caller)
        return empty()
    force, volumes = request.query.flag("force"), request.query.flag("v")
    await engine.remove(named, request.caller, force=force, volumes=volumes)
    return empty()


def _signal(request: Request, verb: str) -> int | None:
    text = request.query.text("signal")
    if not text:
        return None
    try:
        return parse_signal(text)
    except ValueError as error:
        raise BadRequest(f"cannot {verb} container {request.params['id']}: {error}") from None


def _timeout(request: Request) -> float | None:
    """Seconds; negative means to wait for ever."""
    return float(request.query.integer("t")) if request.query.text("t") else None


def _run(request: Request) -> int | None:
    """The run that somebody who asks again knew; None: he asks for the first time."""
    run = request.query.integer("run", -1)
    return None if run < 0 else run


# -- small things --------------------------------------------------------------------------------------------


async def rename_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/rename?name=. The name that it has already is an error, in docker's words."""
    old, new = engine.roster.find(request.params["id"]), request.query.text("name")
    if new.removeprefix("/") == old.name:
        raise BadRequest(
            f"cannot rename container {old.name}: Renaming a container with the same name as its current name"
        )
    await engine.rename(old.id, new, request.caller)
    return empty()


async def update_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/update."""
    warnings = await engine.update(request.params["id"], await request.json(), request.caller)
    return json_response({"Warnings": warnings or None})


async def resize_container(engine: Engine, request: Request) -> Response:
    """POST /containers/{id}/resize?h=&w=."""
    rows, columns = terminal_size(request)
    engine.resize(request.params["id"], rows, columns)
    return empty(200)


def terminal_size(request: Request) -> tuple[int, int]:
    """Rows and columns, within what the kernel can hold (struct winsize)."""
    rows, columns = request.query.integer("h"), request.query.integer("w")
    if not (0 <= rows < 1 << 16 and 0 <= columns < 1 << 16):
        raise BadRequest(f"cannot resize: {rows} rows and {columns} columns cannot be")
    return rows, columns


async def top_container(engine: Engine, request: Request) -> Response:
    """GET /containers/{id}/top?ps_args=."""
    table = await engine.top(request.params["id"], request.query.text("ps_args"))
    return json_response({"Titles": table.titles, "Processes": table.rows})


async def list_changes(engine: Engine, request: Request) -> Response:
    """GET /containers/{id}/changes."""
    found = await engine.changes(request.params["id"])
    return json_response([{"Path": one.path, "Kind": int(one.kind)} for one in found])


ROUTES = (
    Route("POST", "/containers/create", create_container),
    Route("GET", "/containers/{id*}/json", inspect_container),
    Route("POST", "/containers/{id*}/start", start_container),
    Route("POST", "/containers/{id*}/stop", stop_container),
    Route("POST", "/containers/{id*}/restart", restart_container),
    Route("POST", "/containers/{id*}/kill", kill_container),
    Route("POST", "/containers/{id*}/pause", pause_container),
    Route("POST", "/containers/{id*}/unpause", unpause_container),
    Route("POST", "/containers/{id*}/rename", rename_container),
    Route("POST", "/containers/{id*}/update", update_container),
    Route("POST", "/containers/{id*}/resize", resize_container),
    Route("GET", "/containers/{id*}/top", top_container),
    Route("GET", "/containers/{id*}/changes", list_changes),
    Route("DELETE", "/containers/{id*}", remove_container),
)
