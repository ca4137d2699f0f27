"""The daemon itself: _ping, version, info, system/df, auth."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import trio

from pysup.store import containers, images, volumes
from pysup.store.images import Image
from pysup.supervisor.api.attached import all_attached
from pysup.supervisor.api.machine import machine
from pysup.supervisor.api.render.container import list_entry
from pysup.supervisor.api.render.image import image_entry
from pysup.supervisor.api.render.system import Json, Machine, cache_entry, disk_usage, info, version
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
from pysup.supervisor.runtime.cgroups.none import WHY as NO_CGROUPS
from pysup.supervisor.spec.timestamps import rfc3339

_PING = (
    ("Builder-Version", "1"),
    ("Swarm", "inactive"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
)
"""Beside what every answer has (connection.py): the API version, by which clients negotiate."""


async def get_ping(_engine: Engine, _request: Request) -> Response:
    """GET /_ping."""
    return Response(200, b"OK", "text/plain; charset=utf-8", _PING)


async def head_ping(_engine: Engine, _request: Request) -> Response:
    """HEAD /_ping: the same head, with a length of 0."""
    return Response(200, b"", "text/plain; charset=utf-8", _PING)


def machine_of(engine: Engine) -> Machine:
    """The facts of the engine's machine."""
    return machine(engine.parts.hierarchy.version, engine.parts.hierarchy.controllers)


async def get_version(engine: Engine, _request: Request) -> Response:
    """GET /version."""
    return json_response(version(machine_of(engine)))


def _warnings(engine: Engine) -> list[str]:
    return [] if engine.parts.hierarchy.version else [f"WARNING: no limits, no pause: {NO_CGROUPS}"]


async def get_info(engine: Engine, _request: Request) -> Response:
    """GET /info."""
    rows = await engine.parts.store.query(containers.list_containers)
    found = await engine.parts.store.query(images.list_images)
    now = rfc3339(engine.parts.now_ns())
    facts = info(
        machine_of(engine),
        engine.parts.settings,
        rows,
        images=len(found),
        warnings=_warnings(engine),
        now=now,
        environment=os.environ,
    )
    return json_response(facts)


async def get_disk_usage(engine: Engine, _request: Request) -> Response:
    """GET /system/df."""
    rows = await engine.parts.store.query(containers.list_containers)
    now = engine.parts.now_ns()
    place = engine.parts.settings.volumes_dir
    known = await engine.parts.store.query(all_attached)
    entries = [list_entry(row, now, place, known[row.id], await engine.sizes(row.id)) for row in rows]
    found = await engine.parts.store.query(images.list_images)
    cache = await engine.parts.store.query(partial(cached, engine.parts))
    hidden = {one.step.image_id for one in cache}
    tags = await all_tags(engine)
    used = [row.image_id for row in rows]
    digests = await all_digests(engine)
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
    images_use, cache_size = await _images_use(engine, found, hidden, frozenset(used))
    logs_use = await _logs_use(engine, frozenset(row.id for row in rows))
    builder: Json = {"BuildCache": [cache_entry(one) for one in cache], "BuilderSize": cache_size}
    usage = disk_usage(shown, entries, await _volumes(engine), images=images_use, logs=logs_use)
    return json_response(usage | builder)


async def _images_use(
    engine: Engine, rows: Sequence[Image], hidden: Collection[str], used: Collection[str]
) -> tuple[DiskUse, int]:
    """Of the images, and of what is there for the cache of builds alone: each byte counts once."""
    parts = await engine.parts.store.query(partial(parts_of_images, rows=rows))
    shown = {image_id: names for image_id, names in parts.items() if image_id not in hidden}
    place = engine.parts.settings.images_dir
    use = await trio.to_thread.run_sync(partial(of_images, place, shown, used), limiter=engine.parts.disk)
    others = {image_id: names for image_id, names in parts.items() if image_id in hidden}
    names = frozenset[str]().union(*others.values()) - frozenset[str]().union(*shown.values())
    found = await trio.to_thread.run_sync(partial(measured, place, names), limiter=engine.parts.disk)
    return use, sum(found.values())


async def _logs_use(engine: Engine, living: Collection[str]) -> DiskUse:
    measure = partial(of_logs, engine.parts.settings.containers_dir, living)
    return await trio.to_thread.run_sync(measure, limiter=engine.parts.disk)


async def _volumes(engine: Engine) -> list[dict[str, Any]]:
    rows = await engine.parts.store.query(volumes.list_volumes)
    used = await engine.parts.store.query(volumes.users)
    place = engine.parts.settings.volumes_dir
    return [
        volume_usage(row, place, size=await engine.parts.volumes.size(row.name), users=used.get(row.name, 0))
        for row in rows
    ]


ROUTES = (
    Route("GET", "/_ping", get_ping),
    Route("HEAD", "/_ping", head_ping),
    Route("GET", "/version", get_version),
    Route("GET", "/info", get_info),
    Route("GET", "/system/df", get_disk_usage),
)
