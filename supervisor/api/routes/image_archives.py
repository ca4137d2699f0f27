"""Images as archives: load and save."""

from __future__ import annotations

import json
from typing import Any

from pysup.store import images
from pysup.store.images import Image as Row
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Query, Request, Sink, Streamed
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.images.loading import Loaded, load
from pysup.supervisor.engine.images.saving import save, saved
from pysup.supervisor.engine.progress import Progress, Step, with_progress
from pysup.supervisor.errors import BadRequest, NotFound, PysupError
from pysup.supervisor.images.platforms import Platform, parse_platform

_TAR = "application/x-tar"


def platform_of_query(query: Query) -> Platform | None:
    """``platform``: ``os/architecture[/variant]``, or the same as a JSON object (API 1.48). Raises BadRequest."""
    text = query.text("platform")
    if not text.startswith("{"):
        return parse_platform(text) if text else None
    try:
        given = json.loads(text)
        parts = [str(given[name]) for name in ("os", "architecture", "variant") if given.get(name)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadRequest(
            f"cannot use platform {text[:100]!r}: it is not an object with os and architecture"
        ) from None
    return parse_platform("/".join(parts))


async def load_images(engine: Engine, request: Request) -> Streamed:
    """POST /images/load: lines of JSON, the last ones say what has been loaded."""
    platform, quiet = platform_of_query(request.query), request.query.flag("quiet")

    async def work(progress: Progress) -> list[Loaded]:
        told = None if quiet else progress
        return await load(engine.images.admissions, request.caller, request.chunks(), told, platform)

    async def write(sink: Sink) -> None:
        async def send(step: Step) -> None:
            await sink.send(_line(_progress(step)))

        await sink.begin()
        try:
            loaded = await with_progress(send, work)
        except PysupError as error:
            await sink.send(_line({"errorDetail": {"message": str(error)}, "error": str(error)}))
            return
        for image in loaded:
            await sink.send(_line({"stream": _told(image)}))

    return Streamed(write)


def _progress(step: Step) -> Any:  # noqa: ANN401 - JSON
    detail = {"current": step.current, "total": step.total}
    return {"status": step.status, "progressDetail": detail, "id": step.id}


def _told(image: Loaded) -> str:
    return "".join(f"Loaded image: {name}\n" for name in image.names) or f"Loaded image ID: {image.id}\n"


def _line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\r\n"


async def save_images(engine: Engine, request: Request) -> Streamed:
    """GET /images/get?names=a&names=b."""
    names = [name for text in request.query.values("names") for name in text.split(",") if name]
    return _saving(engine, request, names)


async def save_image(engine: Engine, request: Request) -> Streamed:
    """GET /images/{name}/get."""
    return _saving(engine, request, [request.params["name"]])


def _saving(engine: Engine, request: Request, names: list[str]) -> Streamed:
    if not names:
        raise BadRequest("cannot save images: no name was given")
    conn = engine.parts.store.read()
    chosen = [(name, _row(engine, name)) for name in names]
    wanted = saved(conn, chosen, platform_of_query(request.query))

    async def write(sink: Sink) -> None:
        await save(engine.images.admissions, wanted, sink.send)

    return Streamed(write, _TAR)


def _row(engine: Engine, name: str) -> Row:
    row = images.get(engine.parts.store.read(), engine.images.resolve(name).id)
    if row is None:
        raise NotFound(f"cannot find image {name}: No such image: {name}")
    return row


ROUTES = (
    Route("POST", "/images/load", load_images),
    Route("GET", "/images/get", save_images),
    Route("GET", "/images/{name*}/get", save_image),
)
