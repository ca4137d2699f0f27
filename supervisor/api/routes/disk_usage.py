"""GET /system/df: what takes up the disk, all of it or the kinds that are asked for (moby api/server/router/system)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

import trio

from pysup.store import containers, images, volumes
from pysup.store.images import Image
from pysup.supervisor.api.attached import all_attached
from pysup.supervisor.api.render.container import list_entry
from pysup.supervisor.api.render.image import image_entry
from pysup.supervisor.api.render.system import Json, cache_entry, use
from pysup.supervisor.api.render.volume import volume_usage
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.images import all_digests, all_tags, sizes
from pysup.supervisor.api.wire import Request, Response, json_response
from pysup.supervisor.engine.building.pruning import cached
from pysup.supervisor.engine.disk_use import (
    DiskUse,
    measured,
    of_images,
    of_logs,
    parts_of_images,
    shared_sizes,
)
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest

_KINDS_SINCE = (1, 42)
"""The API version that knows ``type``; older ones leave it out."""


async def get_disk_usage(engine: Engine, request: Request) -> Response:
    """What was not asked for is null, as with docker; ``Pysup`` has what docker's document has no room for."""
    asked = request.query.values("type") if request.version >= _KINDS_SINCE else []
    for kind in asked:
        if kind not in _KINDS:
            raise BadRequest(f"cannot tell the disk usage: unknown object type: {kind[:64]!r}")
    found: Json = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None, "BuildCache": None}
    own: Json = {}
    for kind, look in _KINDS.items():
        if not asked or kind in asked:
            theirs, ours = await look(engine)
            found |= theirs
            own |= ours
    return json_response(found | {"Pysup": own})


Found = tuple[Json, Json]
"""Docker's fields, and our own."""


async def _images(engine: Engine) -> Found:
    """LayersSize has the blobs, too, from which images are saved and pushed."""
    found, hidden = await _all_images(engine)
    used = [row.image_id for row in await engine.parts.store.query(containers.list_containers)]
    tags, digests = await all_tags(engine), await all_digests(engine)
    shared = shared_sizes(found, await sizes(engine))
    shown = [
        image_entry(
            one,
            tags.get(one.id, ()),
            digests.get(one.id, ()),
            containers=used.count(one.id),
            shared=shared[one.id],
        )
        for one in found
        if one.id not in hidden
    ]
    total = await _measured(engine, found, hidden, frozenset(used))
    return {"LayersSize": total.size, "Images": shown}, {"ImagesReclaimable": total.reclaimable}


async def _all_images(engine: Engine) -> tuple[Sequence[Image], frozenset[str]]:
    """All rows, and the ids of those that are there for the cache of builds alone."""
    rows = await engine.parts.store.query(images.list_images)
    cache = await engine.parts.store.query(partial(cached, engine.parts))
    return rows, frozenset(one.step.image_id for one in cache)


async def _measured(
    engine: Engine, rows: Sequence[Image], hidden: Collection[str], used: Collection[str]
) -> DiskUse:
    """Each byte counts once."""
    parts = await engine.parts.store.query(partial(parts_of_images, rows=rows))
    shown = {image_id: names for image_id, names in parts.items() if image_id not in hidden}
    measure = partial(of_images, engine.parts.settings.images_dir, shown, used)
    return await trio.to_thread.run_sync(measure, limiter=engine.parts.disk)


async def _build_cache(engine: Engine) -> Found:
    """What images have, too, is theirs."""
    rows, hidden = await _all_images(engine)
    parts = await engine.parts.store.query(partial(parts_of_images, rows=rows))
    shown = frozenset[str]().union(*(names for image_id, names in parts.items() if image_id not in hidden))
    names = (
        frozenset[str]().union(*(names for image_id, names in parts.items() if image_id in hidden)) - shown
    )
    measure = partial(measured, engine.parts.settings.images_dir, names)
    sizes_found = await trio.to_thread.run_sync(measure, limiter=engine.parts.disk)
    entries = [cache_entry(one) for one in await engine.parts.store.query(partial(cached, engine.parts))]
    return {"BuildCache": entries, "BuilderSize": sum(sizes_found.values())}, {}


async def _containers(engine: Engine) -> Found:
    """With their logs, and those of removed ones."""
    rows = await engine.parts.store.query(containers.list_containers)
    now, place = engine.parts.now_ns(), engine.parts.settings.volumes_dir
    known = await engine.parts.store.query(all_attached)
    entries = [list_entry(row, now, place, known[row.id], await engine.sizes(row.id)) for row in rows]
    measure = partial(of_logs, engine.parts.settings.containers_dir, frozenset(row.id for row in rows))
    logs = await trio.to_thread.run_sync(measure, limiter=engine.parts.disk)
    return {"Containers": entries}, {"Logs": use(logs)}


async def _volumes(engine: Engine) -> Found:
    rows = await engine.parts.store.query(volumes.list_volumes)
    used = await engine.parts.store.query(volumes.users)
    place = engine.parts.settings.volumes_dir
    entries = [
        volume_usage(row, place, size=await engine.parts.volumes.size(row.name), users=used.get(row.name, 0))
        for row in rows
    ]
    return {"Volumes": entries}, {}


_KINDS: dict[str, Callable[[Engine], Awaitable[Found]]] = {
    "image": _images,
    "container": _containers,
    "volume": _volumes,
    "build-cache": _build_cache,
}
ROUTES = (Route("GET", "/system/df", get_disk_usage),)
