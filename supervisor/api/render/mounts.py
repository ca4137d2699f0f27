"""The mounts of a container as docker lists them (MountPoint), from its HostConfig."""

from __future__ import annotations

from typing import Any

from pysup.supervisor.spec.mount_syntax import clean, parse_volume

Json = dict[str, Any]


def mount_points(host_config: Json) -> list[Json]:
    """Binds and --mount entries; --tmpfs is not among them, as in docker."""
    binds = [_bind(text) for text in host_config.get("Binds") or []]
    return binds + [_mount(mount) for mount in host_config.get("Mounts") or []]


def _bind(text: str) -> Json:
    bind = parse_volume(text)
    parts = text.split(":")
    return {
        "Type": "bind",
        "Source": clean(bind.source),
        "Destination": bind.target,
        "Mode": parts[2] if len(parts) > 2 else "",  # noqa: PLR2004 - source, target, options
        "RW": not bind.read_only,
        "Propagation": bind.propagation or "rprivate",
    }


def _mount(mount: Json) -> Json:
    is_bind = mount["Type"] == "bind"
    propagation = (mount.get("BindOptions") or {}).get("Propagation") or "rprivate"
    return {
        "Type": mount["Type"],
        "Source": clean(mount["Source"]) if is_bind else "",
        "Destination": clean(mount["Target"]),
        "Mode": "",
        "RW": not mount.get("ReadOnly"),
        "Propagation": propagation if is_bind else "",
    }
