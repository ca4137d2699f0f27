"""POST /build: docker's classic builder. Its answer is lines of JSON, as its text has always been.

BuildKit's own way (``version=2``, POST /session: gRPC over a hijacked connection) is refused with what to do instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pysup.supervisor.api import filters
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.image_archives import platform_of_query
from pysup.supervisor.api.wire import Query, Request, Response, Sink, Streamed, json_response
from pysup.supervisor.engine.building.containers import StepFailed
from pysup.supervisor.engine.building.orders import DOCKERFILE, Order
from pysup.supervisor.engine.building.pruning import Wanted, prune
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest, NotSupported, PysupError
from pysup.supervisor.images.registry.credentials import registries_from_header
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.reference import Reference, parse_reference

NO_BUILDKIT = "cannot build with BuildKit: pysup has docker's classic builder; set DOCKER_BUILDKIT=0"
_REMOTE_OF_BUILDKIT = "client-session"


async def build_image(engine: Engine, request: Request) -> Streamed:
    """Build an image of the context that is the body."""
    order = order_of(request)

    async def write(sink: Sink) -> None:
        begun = False

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await sink.send(json.dumps(message).encode() + b"\r\n")

        try:
            await engine.builds.build(order, request.chunks(), send)
        except PysupError as error:
            if not begun:
                raise
            await send({"errorDetail": _detail(error), "error": str(error)})

    return Streamed(write)


def _detail(error: PysupError) -> dict[str, Any]:
    code = {"code": error.code} if isinstance(error, StepFailed) else {}
    return {**code, "message": str(error)}


async def no_session(_engine: Engine, _request: Request) -> Response:
    """POST /session and /grpc."""
    raise NotSupported(NO_BUILDKIT)


async def prune_builds(engine: Engine, request: Request) -> Response:
    """POST /build/prune: the images that are there for the cache alone."""
    given = filters.parse(request.query.text("filters"), filters.BUILD_PRUNE)
    until = filters.until_ns(given, engine.parts.now_ns())
    query = request.query
    for name in ("max-used-space", "min-free-space"):
        if query.integer(name):
            raise NotSupported(f"cannot prune builds: {name} is not supported; keep-storage is")
    wanted = Wanted(
        everything=query.flag("all"),
        before=until,
        ids=given.get("id", ()),
        keep=query.integer("keep-storage") or query.integer("reserved-space"),
    )
    pruned = await prune(engine.parts, wanted, request.caller)
    return json_response({"CachesDeleted": pruned.ids or None, "SpaceReclaimed": pruned.freed})


# -- the query -----------------------------------------------------------------------------------------------


def order_of(request: Request) -> Order:
    """What a request asks for. Raises BadRequest, NotSupported."""
    query = request.query
    _refuse(query)
    return Order(
        caller=request.caller,
        dockerfile=next(iter(query.values("dockerfile")), "")
        or DOCKERFILE,  # docker-py sends the text behind it
        names=tuple(_name(text) for text in query.values("t") if text),
        quiet=query.flag("q"),
        no_cache=query.flag("nocache"),
        cache_from=tuple(_texts(query, "cachefrom")),
        pull=query.flag("pull"),
        keep=not query.flag("rm", default=True),
        remove_failed=query.flag("forcerm"),
        arguments={name: _text("buildargs", value) for name, value in _object(query, "buildargs").items()},
        labels={name: _text("labels", value) or "" for name, value in _object(query, "labels").items()},
        target=query.text("target"),
        platform=platform_of_query(query),
        host=_host(query),
        credentials=registries_from_header(request.headers.get("x-registry-config")),
    )


def _refuse(query: Query) -> None:
    if query.text("version") == "2" or query.text("session") or query.text("remote") == _REMOTE_OF_BUILDKIT:
        raise NotSupported(NO_BUILDKIT)
    if query.text("remote"):
        raise NotSupported(
            f"cannot build of {query.text('remote')[:200]}: a build downloads no context: "
            "fetch it yourself and send it (git clone URL; docker build DIRECTORY)"
        )
    if query.flag("squash"):
        raise NotSupported("cannot build with --squash: layers are what the cache and registries share")
    if query.text("outputs") not in {"", "[]", "null"}:
        raise NotSupported("cannot build with --output: it is BuildKit's; use docker cp or docker save")


def _name(text: str) -> Reference:
    try:
        name = parse_reference(text).tagged()
    except ValueError as error:
        raise BadRequest(f"cannot build: invalid reference format: {error}") from None
    if name.digest:
        raise BadRequest(f"cannot build: a name with a digest cannot be given: {text[:128]}")
    return name


def _json(query: Query, name: str) -> Any:  # noqa: ANN401 - JSON
    text = query.text(name)
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        raise BadRequest(f"cannot build: {name} is not JSON: {text[:100]!r}") from None


def _object(query: Query, name: str) -> dict[str, Any]:
    found = _json(query, name)
    if found is not None and not isinstance(found, dict):
        raise BadRequest(f"cannot build: {name} is not a JSON object")
    return found or {}


def _text(where: str, value: Any) -> str | None:  # noqa: ANN401 - JSON
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"cannot build: {where} has a value that is not a string: {str(value)[:100]}")
    return value


def _list(query: Query, name: str) -> list[Any]:
    found = _json(query, name)
    if found is not None and not isinstance(found, list):
        raise BadRequest(f"cannot build: {name} is not a JSON array")
    return found or []


def _texts(query: Query, name: str) -> list[str]:
    found = _list(query, name)
    if not all(isinstance(text, str) for text in found):
        raise BadRequest(f"cannot build: {name} is not an array of strings")
    return found


_NUMBERS = {
    "memory": "Memory", "memswap": "MemorySwap", "cpushares": "CpuShares", "cpuperiod": "CpuPeriod",
    "cpuquota": "CpuQuota", "shmsize": "ShmSize",
}  # fmt: skip
_WORDS = {
    "cpusetcpus": "CpusetCpus", "cpusetmems": "CpusetMems", "cgroupparent": "CgroupParent", "isolation": "Isolation",
    "networkmode": "NetworkMode",
}  # fmt: skip


def _host(query: Query) -> dict[str, Any]:
    """Docker's HostConfig of the containers of RUN; what is wrong with it is told when the first one is made."""
    host: dict[str, Any] = {
        field: query.integer(name) for name, field in _NUMBERS.items() if query.text(name)
    }
    host |= {field: query.text(name) for name, field in _WORDS.items() if query.text(name)}
    lists = {
        "ExtraHosts": [entry for text in query.values("extrahosts") for entry in text.split(",") if entry],
        "SecurityOpt": _texts(query, "securityopt"),
        "Ulimits": _list(query, "ulimits"),
    }
    Fields("build", {"Ulimits": lists["Ulimits"]}).inners("Ulimits")
    return host | {field: found for field, found in lists.items() if found}


ROUTES = (
    Route("POST", "/build", build_image),
    Route("POST", "/build/prune", prune_builds),
    Route("POST", "/session", no_session),
    Route("POST", "/grpc", no_session),
)
