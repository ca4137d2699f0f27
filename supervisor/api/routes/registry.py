"""Registries: pull, push, log in, and what a registry has of a name."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.image_archives import platform_of_query
from pysup.supervisor.api.wire import Request, Sink, Streamed
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.image_pulling import Order, pull
from pysup.supervisor.engine.progress import Progress, Step, with_progress
from pysup.supervisor.errors import BadRequest, PysupError
from pysup.supervisor.images.registry.credentials import Credentials, from_header
from pysup.supervisor.spec.reference import Reference, parse_reference


def credentials_of(request: Request) -> Credentials:
    """Those of the header X-Registry-Auth. Raises BadRequest."""
    return from_header(request.headers.get("x-registry-auth"))


def line(step: Step) -> bytes:
    """One line of docker's (moby pkg/jsonmessage)."""
    message: dict[str, Any] = {"status": step.status}
    if step.id:
        message["id"] = step.id
        message["progressDetail"] = {"current": step.current, "total": step.total} if step.total else {}
    return json.dumps(message).encode() + b"\r\n"


def _failure(error: PysupError) -> bytes:
    return json.dumps({"errorDetail": {"message": str(error)}, "error": str(error)}).encode() + b"\r\n"


def streamed(work: Callable[[Progress], Awaitable[None]]) -> Streamed:
    """Progress, line by line. A failure before there is any is an ordinary error, a later one the last line."""

    async def write(sink: Sink) -> None:
        begun = False

        async def send(step: Step) -> None:
            nonlocal begun
            begun = True
            await sink.send(line(step))

        try:
            await with_progress(send, work)
        except PysupError as error:
            if not begun:
                raise
            await sink.send(_failure(error))

    return Streamed(write)


# -- pull ----------------------------------------------------------------------------------------------------


def pull_image(engine: Engine, request: Request) -> Streamed:
    """POST /images/create?fromImage=NAME&tag=TAG-or-DIGEST&platform=…"""
    name = named(request.query.text("fromImage"), request.query.text("tag"), "pull")
    order = Order(name, credentials_of(request), platform_of_query(request.query), request.caller)

    async def work(progress: Progress) -> None:
        images = engine.images
        pulled = await pull(images.admissions, images.registries, order, progress)
        what = "Downloaded newer image" if pulled.is_new else "Image is up to date"
        progress.tell(Step(f"Status: {what} for {name}"))

    return streamed(work)


def named(text: str, tag: str, verb: str) -> Reference:
    """A name with what comes beside it: a tag or a digest. Raises BadRequest."""
    whole = text if not tag else f"{text}@{tag}" if ":" in tag else f"{text}:{tag}"
    try:
        return parse_reference(whole).tagged()
    except ValueError as error:
        raise BadRequest(f"cannot {verb} {whole[:200]}: {error}") from None


ROUTES: tuple[Route, ...] = ()
