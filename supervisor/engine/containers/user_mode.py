"""A create body's user namespace, decided for good: the daemon's default, and a range of ids for ``auto``."""

from __future__ import annotations

from functools import partial
from sqlite3 import Connection
from typing import Any, NamedTuple

from pysup.store import containers, id_ranges
from pysup.supervisor.engine.containers.joined_modes import ids_of
from pysup.supervisor.engine.containers.record import Write
from pysup.supervisor.engine.containers.user_namespaces import why_unmappable
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Conflict, Unavailable
from pysup.supervisor.kernel.own_ids import is_rootless
from pysup.supervisor.spec.auto_ids import AUTO, Auto, is_auto, parse_auto
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.from_docker import CREATE
from pysup.supervisor.spec.mounts import points as mount_points
from pysup.supervisor.spec.namespaces import JOINED_IDS
from pysup.supervisor.spec.network import CONTAINER

Json = dict[str, Any]

_NO_ROOT = (
    "it would have to be shown with other ids, which only a daemon that is root can (the kernel asks for power over "
    "its file system itself); without root there are the host image, whose files are nobody's in any case, directories "
    "of the host as they are, and tmpfs"
)


class Settled(NamedTuple):
    """The body, and what comes with it."""

    body: Json
    writes: tuple[Write, ...] = ()
    """In the transaction that makes the container's row."""
    warnings: tuple[str, ...] = ()


async def with_user_namespace(parts: Parts, body: Json, container_id: str, lower: tuple[str, ...]) -> Settled:
    """``lower``: its layers. A range is reserved until IdRanges.forget(). Raises BadRequest, Conflict, Unavailable."""
    host = Fields(CREATE, body).inner("HostConfig")
    own = host.inner("Pysup")
    maps = bool(own.raw("UidMaps") or own.raw("GidMaps"))
    mode = host.text("UsernsMode") or ("" if maps else parts.settings.userns)
    if mode == "private" and not maps:
        mode = AUTO  # a namespace of its own, and nobody said which ids
    if mode.startswith(CONTAINER) and mode != CONTAINER:
        return _joined(parts, body, mode)
    if not is_auto(mode):
        return Settled(_with(body, mode, None))
    try:
        auto = parse_auto(mode)
    except ValueError as error:
        raise host.bad(str(error)) from None
    if is_rootless():
        strange = _to_be_mapped(body, container_id, lower)
        lacking = strange and f"{strange}: {_NO_ROOT}"
    else:
        lacking = await _lacking(parts, container_id, lower) if auto.fallback else ""
    if lacking and not auto.fallback:
        raise Unavailable(f"cannot {CREATE}: --userns auto: {lacking}; there is --userns host")
    if lacking:
        return Settled(_with(body, "host", None), warnings=(f"no user namespace of its own: {lacking}",))
    return _ranged(parts, body, mode, auto, container_id)


def _joined(parts: Parts, body: Json, mode: str) -> Settled:
    """The ids of another container, which is there still when this one's row is made; they stay reserved with it."""
    container_id = mode.removeprefix(CONTAINER)
    row = containers.get(parts.store.read(), container_id)
    if row is None:
        raise _gone(container_id)
    ids = ids_of(row)
    return Settled(
        _with(body, mode, None, ids), (partial(_check_there, container_id=container_id),) if ids else ()
    )


def _check_there(conn: Connection, container_id: str) -> None:
    row = containers.get(conn, container_id)
    if row is None or row.state == "removed":
        raise _gone(container_id)


def _gone(container_id: str) -> Conflict:
    return Conflict(
        f"cannot {CREATE}: cannot join the user namespace of container {container_id[:12]}: it was removed just now"
    )


def _ranged(parts: Parts, body: Json, mode: str, auto: Auto, container_id: str) -> Settled:
    start, size = parts.id_ranges.reserve(container_id, auto.size)
    note = partial(id_ranges.insert, start=start, size=size, container_id=container_id)
    return Settled(_with(body, mode, {"Start": start, "Size": size}), (note,))


def _to_be_mapped(body: Json, container_id: str, lower: tuple[str, ...]) -> str:
    """The first thing whose owners must be the container's, as an error names it; empty: there is none."""
    if "/" not in lower:
        return "the image"
    found = mount_points(Fields(CREATE, body), Fields(CREATE, body).inner("HostConfig"), container_id)
    return next(
        (f"{mount.kind} {mount.target}" for mount in found if mount.kind == "volume" or mount.idmap), ""
    )


async def _lacking(parts: Parts, container_id: str, lower: tuple[str, ...]) -> str:
    below = [one.point for one in parts.filesystems.below()] if "/" in lower else []
    return await why_unmappable(parts, f"layers/{container_id}", [*lower, *below, parts.settings.volumes_dir])


def _with(body: Json, mode: str, ids: Json | None, joined: Json | None = None) -> Json:
    """A range that somebody sends (what inspect has shown) is another container's."""
    host = dict(body.get("HostConfig") or {})
    own = {
        key: value for key, value in (host.get("Pysup") or {}).items() if key not in ("IdRange", JOINED_IDS)
    }
    if ids is not None:
        own["IdRange"] = ids
    if joined:
        own[JOINED_IDS] = joined
    return {**body, "HostConfig": {**host, "UsernsMode": mode, "Pysup": own}}
