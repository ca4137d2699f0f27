"""Files of a container: archives out of it and into it, and its whole root."""

from __future__ import annotations

from pysup.supervisor.api.render.files import HEADER, path_stat
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Response, Sink, Streamed, empty
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.files.copying import Stat
from pysup.supervisor.errors import BadRequest

_TAR = "application/x-tar"


def _path(request: Request) -> str:
    path = request.query.text("path")
    if not path:
        raise BadRequest("cannot copy: no path was given: bad parameter 'path'")
    if "\0" in path:
        raise BadRequest("cannot copy: the path has a NUL")
    return path


async def stat_archive(engine: Engine, request: Request) -> Response:
    """HEAD /containers/{id}/archive?path=."""
    found = await engine.stat_path(request.params["id"], _path(request))
    return Response(200, headers=((HEADER, path_stat(found)),))


async def get_archive(engine: Engine, request: Request) -> Streamed:
    """GET /containers/{id}/archive?path=."""
    path, container = _path(request), request.params["id"]
    engine.roster.find(container)

    async def write(sink: Sink) -> None:
        async def begin(found: Stat) -> None:
            await sink.begin((HEADER, path_stat(found)))

        await engine.copy_out(container, path, begin, sink.send)

    return Streamed(write, _TAR)


async def put_archive(engine: Engine, request: Request) -> Response:
    """PUT /containers/{id}/archive?path=&noOverwriteDirNonDir=&copyUIDGID=."""
    await engine.copy_in(
        request.params["id"],
        _path(request),
        request.chunks(),
        keeps_kinds=request.query.flag("noOverwriteDirNonDir"),
        gives_to_user=request.query.flag("copyUIDGID"),
    )
    return empty(200)


async def export_container(engine: Engine, request: Request) -> Streamed:
    """GET /containers/{id}/export."""
    container = request.params["id"]
    engine.roster.find(container)

    async def write(sink: Sink) -> None:
        await engine.export(container, sink.send)

    return Streamed(write, "application/octet-stream")


ROUTES = (
    Route("HEAD", "/containers/{id*}/archive", stat_archive),
    Route("GET", "/containers/{id*}/archive", get_archive),
    Route("PUT", "/containers/{id*}/archive", put_archive),
    Route("GET", "/containers/{id*}/export", export_container),
)
