"""Images: the list entry, inspect and history (moby api/types/image). A row's config is the whole OCI configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pysup.store.images import Digest, Image, Tag
from pysup.supervisor.api.render.container import DRIVER
from pysup.supervisor.images.digests import PREFIX
from pysup.supervisor.spec.timestamps import rfc3339

Json = dict[str, Any]

_BILLION = 10**9
NOT_COUNTED = -1
"""Docker's value for a figure that was not asked for."""


def repo_tags(tags: Sequence[Tag]) -> list[str]:
    """``["alpine:3", …]``."""
    return [f"{tag.repository}:{tag.tag}" for tag in tags]


def repo_digests(digests: Sequence[Digest]) -> list[str]:
    """``["alpine@sha256:…", …]``."""
    return [f"{one.repository}@{one.digest}" for one in digests]


def image_entry(
    row: Image,
    tags: Sequence[Tag],
    digests: Sequence[Digest] = (),
    *,
    containers: int = NOT_COUNTED,
    shared: int = NOT_COUNTED,
) -> Json:
    """One entry of GET /images/json."""
    config = json.loads(row.config)
    return {
        "Id": row.id,
        "ParentId": row.parent_id,
        "RepoTags": repo_tags(tags),
        "RepoDigests": repo_digests(digests),
        "Created": row.created_at // _BILLION,
        "Size": row.size,
        "SharedSize": shared,
        "Labels": labels(config),
        "Containers": containers,
    }


def labels(config: Json) -> dict[str, str]:
    """The labels in a whole image configuration."""
    return dict((config.get("config") or {}).get("Labels") or {})


def inspect_image(
    row: Image, tags: Sequence[Tag], lower: Sequence[str], digests: Sequence[Digest] = ()
) -> Json:
    """The document of GET /images/{name}/json. ``lower``: the layers' directories, topmost first."""
    config = json.loads(row.config)
    return {
        "Id": row.id,
        "RepoTags": repo_tags(tags),
        "RepoDigests": repo_digests(digests),
        "Parent": row.parent_id,
        "Comment": config.get("comment") or _last_comment(config),
        "Created": config.get("created") or rfc3339(row.created_at),
        "DockerVersion": "",
        "Author": config.get("author") or "",
        "Config": config.get("config") or {},
        "Architecture": config.get("architecture") or "",
        "Os": config.get("os") or "linux",
        "Size": row.size,
        "GraphDriver": {"Name": DRIVER, "Data": _graph(lower)},
        "RootFS": {"Type": "layers", "Layers": _diff_ids(config)},
        "Metadata": {"LastTagTime": rfc3339(None)},
    }


def _last_comment(config: Json) -> str:
    history = config.get("history") or [{}]
    return str(history[-1].get("comment") or "")


def _graph(lower: Sequence[str]) -> Json:
    """Docker's words: the topmost layer is the upper one."""
    below = {"LowerDir": ":".join(lower[1:])} if len(lower) > 1 else {}
    return {**below, "UpperDir": lower[0] if lower else ""}


def history(row: Image, tags: Sequence[Tag], sizes: Mapping[str, int]) -> list[Json]:
    """GET /images/{name}/history, the newest step first; only the last one is an image that can be named.

    ``sizes``: bytes of each layer, by its name. Layers that no step tells of have one of their own.
    """
    config = json.loads(row.config)
    made = iter([_size(one, sizes) for one in _diff_ids(config)])
    steps = config.get("history") or []
    entries = [_step(step, 0 if step.get("empty_layer") else next(made, 0)) for step in steps]
    entries += [_step({"created": config.get("created")}, size) for size in made]
    entries = entries[::-1] or [_step({"created": config.get("created")}, row.size)]
    entries[0] |= {"Id": row.id, "Tags": repo_tags(tags) or None}
    return entries


def layers(row: Image, tags: Sequence[Tag], sizes: Mapping[str, int]) -> Json:
    """An entry of GET /pysup/images/layers: what the image is made of, the lowest layer first."""
    return {
        "Id": row.id,
        "RepoTags": repo_tags(tags),
        "Layers": [{"Digest": one, "Size": _size(one, sizes)} for one in _diff_ids(json.loads(row.config))],
    }


def _diff_ids(config: Json) -> list[str]:
    return list((config.get("rootfs") or {}).get("diff_ids") or [])


def _size(diff_id: str, sizes: Mapping[str, int]) -> int:
    return sizes.get(diff_id.removeprefix(PREFIX), 0)


def _step(step: Json, size: int) -> Json:
    return {
        "Id": "<missing>",
        "Created": _unix(step.get("created")),
        "CreatedBy": step.get("created_by") or "",
        "Tags": None,
        "Size": size,
        "Comment": step.get("comment") or "",
    }


def _unix(text: str | None) -> int:
    """Seconds of an RFC 3339 time; 0 where there is none."""
    from datetime import datetime  # noqa: PLC0415 - only here

    try:
        return int(datetime.fromisoformat(text or "").timestamp())
    except ValueError:
        return 0
