"""The mounts of a container as docker lists them (MountPoint), from its documents."""

from __future__ import annotations

from typing import Any

from pysup.supervisor.spec.container import Mount, Volume
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.mounts import points
from pysup.supervisor.volumes.directories import data_of

Json = dict[str, Any]

_SHARED_LABEL = "z"
"""Docker's Mode of a volume that was named without options."""


def mount_points(config: Json, host_config: Json, container_id: str, volumes: str) -> list[Json]:
    """All but --tmpfs, as in docker. ``volumes``: the directory of all volumes."""
    verb = "show container"
    found = points(Fields(verb, config), Fields(verb, host_config, "HostConfig"), container_id)
    return [
        _plain(mount) if mount.volume is None else _volume(mount, mount.volume, volumes) for mount in found
    ]


def _plain(mount: Mount) -> Json:
    return {
        "Type": mount.kind,
        "Source": mount.source,
        "Destination": mount.target,
        "Mode": mount.mode,
        "RW": not mount.read_only,
        "Propagation": mount.propagation if mount.kind == "bind" else "",
    }


def _volume(mount: Mount, volume: Volume, volumes: str) -> Json:
    return {
        "Type": "volume",
        "Name": volume.name,
        "Source": data_of(volumes, volume.name),
        "Destination": mount.target,
        "Driver": volume.driver,
        "Mode": mount.mode or ("" if volume.anonymous else _SHARED_LABEL),
        "RW": not mount.read_only,
        "Propagation": "",
    }
