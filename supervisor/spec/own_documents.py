"""HostConfig.Pysup as a whole document: what docker has no field for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.secrets import normal as normal_secret
from pysup.supervisor.spec.typed_mounts import normal_mounts


def _limit(own: Fields, key: str) -> Json:
    limit = own.inner(key)
    return {"Count": limit.integer("Count"), "Window": limit.seconds("Window") or 0.0}


def _secrets(own: Fields, key: str) -> list[Json]:
    return [normal_secret(item) for item in own.inners(key)]


def _directory(own: Fields, key: str) -> str:
    path = own.text(key)
    if path and not path.startswith("/"):
        raise own.bad(f"--rootfs {path[:64]!r} is not an absolute path")
    return path


def _range(own: Fields, key: str) -> Json:
    ids = own.inner(key)
    return {"Start": ids.integer("Start"), "Size": ids.integer("Size")}


def _joined_ids(own: Fields, key: str) -> Json:
    ids = own.inner(key)
    found = {name: ids.raw(name) for name in ("UidMaps", "GidMaps")}
    return found | ({"Range": _range(ids, "Range")} if ids.raw("Range") else {})


OWN: dict[str, Callable[[Fields, str], Any]] = {
    "RestartDelay": Fields.seconds,
    "RestartMaxDelay": Fields.seconds,
    "RestartResetAfter": Fields.seconds,
    "RestartLimit": _limit,
    "RunTimeout": Fields.seconds,
    "HealthOnFailure": Fields.text,
    "IdRange": _range,
    "JoinedIds": _joined_ids,
    "UidMaps": Fields.raw,
    "GidMaps": Fields.raw,
    "Rootfs": _directory,
    "Inherited": normal_mounts,
    "Secrets": _secrets,
    "OnNone": Fields.flag,
}
"""Every setting, and how it is read."""


def own_settings(own: Fields) -> Json:
    """Those of pysup's settings that are given. An unknown one is an error: it cannot be another engine's."""
    for key in own.given():
        if key not in OWN:
            raise own.bad(f"{own.where}.{key[:64]!r} is not a setting of pysup")
    return {key: OWN[key](own, key) for key in own.among(OWN) if own.raw(key) or own.raw(key) == 0}
