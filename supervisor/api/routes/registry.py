"""Registries: pull, push, log in, and what a registry has of a name."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.image_archives import platform_of_query
from pysup.supervisor.api.wire import Request, Response, Sink, Streamed, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.images.pulling import Order as Pull
from pysup.supervisor.engine.images.pulling import pull
from pysup.supervisor.engine.images.push_orders import Order as Push
from pysup.supervisor.engine.images.push_orders import parcels
from pysup.supervisor.engine.images.pushing import push
from pysup.supervisor.engine.images.registry_questions import describe, log_in
from pysup.supervisor.engine.progress import Progress, Step, with_progress
from pysup.supervisor.errors import BadRequest, NotSupported, PysupError
from pysup.supervisor.images.registry.credentials import Credentials, from_document, from_header, registry_of
from pysup.supervisor.spec.reference import Reference, parse_reference
from pysup.supervisor.spec.units import progress_bar


def credentials_of(request: Request) -> Credentials:
    """Those of the header X-Registry-Auth. Raises BadRequest."""
    return from_header(request.headers.get("x-registry-auth"))


def lines(step: Step) -> bytes:
    """One line of docker's (moby pkg/jsonmessage), and one more for programs."""
    message: dict[str, Any] = {"status": step.status}
    if step.id:
        message["id"] = step.id
        message["progressDetail"] = {"current": step.current, "total": step.total} if step.total else {}
    if step.total:
        message["progress"] = progress_bar(step.current, step.total)
    aux = [] if step.aux is None else [{"progressDetail": {}, "aux": step.aux}]
    return b"".join(json.dumps(one).encode() + b"\r\n" for one in (message, *aux))


def _failure(error: PysupError) -> bytes:
    return json.dumps({"errorDetail": {"message": str(error)}, "error": str(error)}).encode() + b"\r\n"


def streamed(work: Callable[[Progress], Awaitable[None]]) -> Streamed:
    """Progress, line by line. A failure before there is any is an ordinary error, a later one the last line."""

    async def write(sink: Sink) -> None:
        begun = False

        async def send(step: Step) -> None:
            nonlocal begun
            begun = True
            await sink.send(lines(step))

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
    order = Pull(name, credentials_of(request), platform_of_query(request.query), request.caller)
    images = engine.images
    return streamed(partial(pull, images.admissions, images.registries, order))


def named(text: str, tag: str, verb: str) -> Reference:
    """A name with what comes beside it: a tag or a digest, or neither. Raises BadRequest."""
    whole = text if not tag else f"{text}@{tag}" if ":" in tag else f"{text}:{tag}"
    try:
        return parse_reference(whole)
    except ValueError as error:
        raise BadRequest(f"cannot {verb} {whole[:200]}: {error}") from None


# -- push ----------------------------------------------------------------------------------------------------


async def push_image(engine: Engine, request: Request) -> Streamed:
    """POST /images/{name}/push?tag=TAG&platform=…: all tags, if none is given."""
    name = named(request.params["name"], request.query.text("tag"), "push")
    if name.digest:
        raise BadRequest(f"cannot push {name}: a digest cannot be pushed, but a tag")
    order = Push(name, credentials_of(request), platform_of_query(request.query), request.caller)
    images = engine.images
    found = await images.admissions.store.query(partial(parcels, order=order))
    return streamed(partial(push, images.admissions, images.registries, order, found))


# -- questions -----------------------------------------------------------------------------------------------


async def log_in_to_registry(engine: Engine, request: Request) -> Response:
    """POST /auth: an AuthConfig."""
    document = await request.json()
    credentials = from_document(document)
    registry = registry_of(document.get("serveraddress") or "")
    token = await log_in(engine.images.registries, registry, credentials)
    return json_response({"Status": "Login Succeeded", "IdentityToken": token})


async def describe_image(engine: Engine, request: Request) -> Response:
    """GET /distribution/{name}/json: digest and platforms, as the registry has them now."""
    name = named(request.params["name"], "", "inspect").tagged()
    found = await describe(engine.images.registries, name, credentials_of(request))
    one = found.descriptor
    platforms = [
        {"architecture": architecture, "os": os, **({"variant": variant} if variant else {})}
        for os, architecture, variant in found.platforms
    ]
    return json_response({
        "Descriptor": {"mediaType": one.media_type, "digest": one.digest, "size": one.size},
        "Platforms": platforms,
    })  # fmt: skip


async def search_images(_engine: Engine, _request: Request) -> Response:
    """GET /images/search: a service of docker's hub alone, no part of the protocol of registries."""
    raise NotSupported("cannot search images: only docker's hub has a search, and pysup does not ask it")


ROUTES = (
    Route("POST", "/images/{name*}/push", push_image),
    Route("POST", "/auth", log_in_to_registry),
    Route("GET", "/distribution/{name*}/json", describe_image),
    Route("GET", "/images/search", search_images),
)
