"""Images: list, inspect, history, import, tag, remove, prune."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import trio

from pysup.store import builds, containers, images
from pysup.store.images import Digest, Tag
from pysup.store.images import Image as Row
from pysup.supervisor.api import filters
from pysup.supervisor.api.filters import Filters
from pysup.supervisor.api.render.image import (
    NOT_COUNTED,
    history,
    image_entry,
    inspect_image,
    labels,
    layers,
)
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.registry import pull_image
from pysup.supervisor.api.selection import prune_labels_match, select_images
from pysup.supervisor.api.wire import Request, Response, Sink, Streamed, empty, json_response
from pysup.supervisor.engine.disk_use import (
    Parts,
    layer_sizes,
    measured,
    parts_of_images,
    shared_sizes,
    without,
)
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.images.importing import import_tar
from pysup.supervisor.errors import BadRequest, Conflict, NotFound, NotSupported, PysupError
from pysup.supervisor.images.platforms import parse_platform
from pysup.supervisor.spec.reference import Reference, parse_reference


async def all_tags(engine: Engine) -> dict[str, list[Tag]]:
    """The tags of each image id."""
    found: defaultdict[str, list[Tag]] = defaultdict(list)
    for tag in await engine.parts.store.query(images.list_tags):
        found[tag.image_id].append(tag)
    return found


async def all_digests(engine: Engine) -> dict[str, list[Digest]]:
    """The names by content of each image id."""
    found: defaultdict[str, list[Digest]] = defaultdict(list)
    for digest in await engine.parts.store.query(images.list_digests):
        found[digest.image_id].append(digest)
    return found


async def sizes(engine: Engine) -> dict[str, int]:
    """Bytes of each layer, by its name."""
    return await engine.parts.store.query(layer_sizes)


def find(engine: Engine, ref: str) -> tuple[Row, list[Tag]]:
    """The row of an image, by name or id, and its tags. Raises NotFound."""
    resolved = engine.images.resolve(ref)
    row = images.get(engine.parts.store.read(), resolved.id)
    if row is None:
        raise NotFound(f"cannot find image {ref}: No such image: {ref}")
    return row, images.list_tags(engine.parts.store.read(), row.id)


# -- reading -------------------------------------------------------------------------------------------------


async def list_images(engine: Engine, request: Request) -> Response:
    """GET /images/json."""
    wanted = filters.parse(request.query.text("filters"), filters.IMAGES)
    before, since = _made(engine, wanted, "before"), _made(engine, wanted, "since")
    until = filters.until_ns(wanted, engine.parts.now_ns())
    rows = await visible(engine, request)
    limits = [time for time in (before, until) if time is not None]
    chosen = select_images(
        rows, await all_tags(engine), wanted, before=min(limits) if limits else None, since=since
    )
    digests = await all_digests(engine)
    shared = shared_sizes(rows, await sizes(engine)) if request.query.flag("shared-size") else {}
    return json_response(
        [
            image_entry(row, tags, digests.get(row.id, ()), shared=shared.get(row.id, NOT_COUNTED))
            for row, tags in chosen
        ]
    )


async def visible(engine: Engine, request: Request) -> list[Row]:
    """The images; those that are there for the cache of builds alone only with ``all``."""
    rows = await engine.parts.store.query(images.list_images)
    hidden = frozenset() if request.query.flag("all") else await engine.parts.store.query(builds.hidden)
    return [row for row in rows if row.id not in hidden]


def _made(engine: Engine, wanted: Filters, key: str) -> int | None:
    times = [find(engine, ref)[0].created_at for ref in wanted.get(key, ())]
    return min(times) if times else None


async def get_image(engine: Engine, request: Request) -> Response:
    """GET /images/{name}/json."""
    row, tags = find(engine, request.params["name"])
    digests = images.list_digests(engine.parts.store.read(), row.id)
    parent = row.parent_id or builds.parent(engine.parts.store.read(), row.id)
    lower = engine.images.resolve(row.id).lower
    return json_response(inspect_image(row, tags, lower, digests) | {"Parent": parent})


async def get_history(engine: Engine, request: Request) -> Response:
    """GET /images/{name}/history."""
    return json_response(history(*find(engine, request.params["name"]), await sizes(engine)))


async def get_layers(engine: Engine, request: Request) -> Response:
    """GET /pysup/images/layers: what every image is made of."""
    tags, known = await all_tags(engine), await sizes(engine)
    rows = await visible(engine, request)
    return json_response([layers(row, tags.get(row.id, ()), known) for row in rows])


# -- making --------------------------------------------------------------------------------------------------


async def create_image(engine: Engine, request: Request) -> Streamed:
    """POST /images/create: a pull (fromImage), or an import of the request's own body (fromSrc=-)."""
    query = request.query
    if query.text("fromImage"):
        return pull_image(engine, request)
    if query.text("fromSrc") != "-":
        raise NotSupported("cannot import from a URL: not supported yet; send the archive itself")
    name = named(query.text("repo"), query.text("tag"), "import image") if query.text("repo") else None
    changes = query.values("changes")
    platform = parse_platform(query.text("platform")) if query.text("platform") else None

    async def write(sink: Sink) -> None:
        await sink.begin()
        try:
            made = await import_tar(
                engine.images.admissions,
                request.caller,
                request.chunks(),
                name=name,
                changes=changes,
                message=query.text("message"),
                platform=platform,
            )
        except PysupError as error:
            await sink.send(_line({"errorDetail": {"message": str(error)}, "error": str(error)}))
            return
        await sink.send(_line({"status": made}))

    return Streamed(write)


def _line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\r\n"


def named(repository: str, tag: str, verb: str) -> Reference:
    """Repository and tag, which docker's clients send apart."""
    try:
        reference = parse_reference(f"{repository}:{tag}" if tag else repository).tagged()
    except ValueError as error:
        raise BadRequest(f"cannot {verb}: {error}") from None
    if reference.digest:
        raise BadRequest(f"cannot {verb}: a name with a digest cannot be given: {repository[:128]}")
    return reference


async def tag_image(engine: Engine, request: Request) -> Response:
    """POST /images/{name}/tag?repo=&tag=."""
    name = named(request.query.text("repo"), request.query.text("tag"), "tag image")
    await engine.images.tag(request.params["name"], name, request.caller)
    return empty(201)


# -- removing ------------------------------------------------------------------------------------------------


async def remove_image(engine: Engine, request: Request) -> Response:
    """DELETE /images/{name}: the tag, and the image with its last one."""
    steps = await engine.images.remove(
        request.params["name"],
        request.caller,
        force=request.query.flag("force"),
        alone=request.query.flag("noprune"),
    )
    return json_response(steps)


async def prune_images(engine: Engine, request: Request) -> Response:
    """POST /images/prune: what has no tag (dangling=false: and what no container uses). Nothing in use ever."""
    wanted = filters.parse(request.query.text("filters"), filters.IMAGE_PRUNE)
    until = filters.until_ns(wanted, engine.parts.now_ns())
    untagged_only = wanted.flag("dangling") is not False
    tags, rows = await all_tags(engine), await engine.parts.store.query(images.list_images)
    hidden = await engine.parts.store.query(builds.hidden)
    chosen = [
        row
        for row in rows
        if row.id not in hidden
        and not (untagged_only and tags.get(row.id))
        and _prunable(engine, row, wanted, until)
    ]
    parts = await engine.parts.store.query(partial(parts_of_images, rows=rows))
    sizes_before = await _measured(engine, parts, [*hidden, *(row.id for row in chosen)])
    deleted = [step for row in chosen for step in await _remove_unused(engine, row, request)]
    kept = {row.id for row in await engine.parts.store.query(images.list_images)}
    freed = without(sizes_before, parts, kept) if deleted else 0
    freed += await engine.images.admissions.forget_partials(engine.parts.now_ns())
    return json_response({"ImagesDeleted": deleted or None, "SpaceReclaimed": freed})


async def _measured(engine: Engine, parts: Parts, ids: Sequence[str]) -> dict[str, int]:
    names = frozenset[str]().union(*(parts.get(image_id, frozenset()) for image_id in ids))
    measure = partial(measured, engine.parts.settings.images_dir, names)
    return await trio.to_thread.run_sync(measure, limiter=engine.parts.disk)


async def _remove_unused(engine: Engine, row: Row, request: Request) -> list[dict[str, str]]:
    """Nothing, if it is built in, or has come into use meanwhile."""
    try:
        return await engine.images.remove(row.id, request.caller, force=True)
    except (Conflict, NotFound):
        return []


def _prunable(engine: Engine, row: Row, wanted: Filters, until: int | None) -> bool:
    old_enough = until is None or row.created_at <= until
    unused = not containers.using_image(engine.parts.store.read(), row.id)
    return old_enough and unused and prune_labels_match(wanted, labels(json.loads(row.config)))


ROUTES = (
    Route("GET", "/images/json", list_images),
    Route("POST", "/images/create", create_image),
    Route("POST", "/images/prune", prune_images),
    Route("GET", "/pysup/images/layers", get_layers),
    Route("GET", "/images/{name*}/json", get_image),
    Route("GET", "/images/{name*}/history", get_history),
    Route("POST", "/images/{name*}/tag", tag_image),
    Route("DELETE", "/images/{name*}", remove_image),
)
