"""Volumes: the list entry, inspect, and their share of the disk (moby api/types/volume)."""

from __future__ import annotations

from typing import Any

from pysup.store.volumes import Volume
from pysup.supervisor.spec.timestamps import rfc3339
from pysup.supervisor.volumes.directories import data_of

Json = dict[str, Any]

_BILLION = 10**9


def volume(row: Volume, volumes: str) -> Json:
    """The document of GET /volumes/{name}. ``volumes``: the directory of all volumes."""
    return {
        "CreatedAt": rfc3339(row.created_at // _BILLION * _BILLION),
        "Driver": row.driver,
        "Labels": row.labels or None,
        "Mountpoint": data_of(volumes, row.name),
        "Name": row.name,
        "Options": row.options or None,
        "Scope": "local",
    }


def volume_usage(row: Volume, volumes: str, *, size: int, users: int) -> Json:
    """An entry of GET /system/df. ``size``: bytes on disk."""
    return volume(row, volumes) | {"UsageData": {"RefCount": users, "Size": size}}
