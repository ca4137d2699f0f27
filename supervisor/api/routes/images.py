"""Images: list, inspect, history, import, tag, remove, prune."""

from __future__ import annotations

import json
from collections import defaultdict

from pysup.store import containers, images
from pysup.store.images import Digest, Tag
from pysup.store.images import Image as Row
from pysup.supervisor.api import filters
from pysup.supervisor.api.filters import Filters
from pysup.supervisor.api.render.image import history, image_entry, inspect_image, labels
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.registry import pull_image
from pysup.supervisor.api.selection import prune_labels_match, select_images
from pysup.supervisor.api.wire import Request, Response, Sink, Streamed, empty, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.image_import import import_tar
from pysup.supervisor.errors import BadRequest, Conflict, NotFound, NotSupported, PysupError
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
    rows = await engine.parts.store.query(images.list_images)
    limits = [time for time in (before, until) if time is not None]
    chosen = select_images(
        rows, await all_tags(engine), wanted, before=min(limits) if limits else None, since=since
    )
    digests = await all_digests(engine)
    return json_response([image_entry(row, tags, digests.get(row.id, ())) for row, tags in chosen])


def _made(engine: Engine, wanted: Filters, key: str) -> int | None:
    times = [find(engine, ref)[0].created_at for ref in wanted.get(key, ())]
    return min(times) if times else None


async def get_image(engine: Engine, request: Request) -> Response:
    """GET /images/{name}/json."""
    row, tags = find(engine, request.params["name"])
    digests = images.list_digests(engine.parts.store.read(), row.id)
    return json_response(inspect_image(row, tags, engine.images.resolve(row.id).lower, digests))


async def get_history(engine: Engine, request: Request) -> Response:
    """GET /images/{name}/history."""
    return json_response(history(*find(engine, request.params["name"])))


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
        request.params["name"], request.caller, force=request.query.flag("force")
    )
    return json_response(steps)


async def prune_images(engine: Engine, request: Request) -> Response:
    """POST /images/prune: what has no tag (dangling=false: and what no container uses). Nothing in use ever."""
    wanted = filters.parse(request.query.text("filters"), filters.IMAGE_PRUNE)
    until = filters.until_ns(wanted, engine.parts.now_ns())
    untagged_only = wanted.flag("dangling") is not False
    tags = await all_tags(engine)
    deleted: list[dict[str, str]] = []
    freed = 0
    for row in await engine.parts.store.query(images.list_images):
        if (untagged_only and tags.get(row.id)) or not _prunable(engine, row, wanted, until):
            continue
        steps = await _remove_unused(engine, row, request)
        deleted += steps
        freed += row.size if steps else 0
    return json_response({"ImagesDeleted": deleted or None, "SpaceReclaimed": freed})


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
    Route("GET", "/images/{name*}/json", get_image),
    Route("GET", "/images/{name*}/history", get_history),
    Route("POST", "/images/{name*}/tag", tag_image),
    Route("DELETE", "/images/{name*}", remove_image),
)
