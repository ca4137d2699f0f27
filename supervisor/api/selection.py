"""Which rows a list, an event stream or a prune is about: docker's filters as pure predicates over rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pysup.store.containers import Container
from pysup.store.events import Event
from pysup.store.images import Image, Tag
from pysup.supervisor.api.filters import Filters, bad_value, has_label, reference_matches
from pysup.supervisor.api.render.image import labels as image_labels
from pysup.supervisor.api.render.mounts import mount_points
from pysup.supervisor.api.render.networks import has_nothing
from pysup.supervisor.api.render.words import STATES, state_word

Json = dict[str, Any]

_RUNNING = frozenset({"running", "paused", "restarting"})
"""What docker lists without ``all``."""


# -- containers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContainerQuery:
    """A list of containers, with every reference in its filters looked up already."""

    filters: Filters
    everything: bool = False
    """Those that do not run, too."""
    limit: int = 0
    """The last n created, running or not; 0: all."""
    created_before: int | None = None
    created_since: int | None = None
    images: frozenset[str] | None = None
    """The ids of the images that ``ancestor`` names."""
    on_networks: frozenset[str] = frozenset()
    """The ids of the containers on the networks that ``network`` names."""
    publishing: frozenset[str] = frozenset()
    """The ids of the containers whose ports ``publish`` names."""


def check_container_filters(filters: Filters) -> None:
    """Refuse values that no container can have, before anything is looked up."""
    for value in filters.get("status", ()):
        if value not in STATES:
            raise bad_value("status", [value])
    for value in filters.get("health", ()):
        if value not in ("none", "starting", "healthy", "unhealthy"):
            raise bad_value("health", [value])
    filters.integers("exited")
    filters.flag("is-task")


def select_containers(rows: Iterable[Container], query: ContainerQuery) -> list[Container]:
    """The rows (given newest first) that the query asks for."""
    found = [row for row in rows if _wanted(row, query)]
    return found[: query.limit] if query.limit > 0 else found


def _wanted(row: Container, query: ContainerQuery) -> bool:
    filters = query.filters
    word = state_word(row)
    shown = query.everything or query.limit > 0 or "status" in filters or word in _RUNNING
    return (
        shown
        and filters.any_of("status", word)
        and filters.begins("id", row.id)
        and filters.name(row.name)
        and _exited(row, word, filters)
        and (query.created_before is None or row.created_at < query.created_before)
        and (query.created_since is None or row.created_at > query.created_since)
        and (query.images is None or row.image_id in query.images)
        and _is_published(row, query)
        and _documents_match(row, query)
    )


def _exited(row: Container, word: str, filters: Filters) -> bool:
    codes = filters.integers("exited")
    return codes is None or (word == "exited" and row.exit_code in codes)


def _is_published(row: Container, query: ContainerQuery) -> bool:
    return "publish" not in query.filters or row.id in query.publishing


def _documents_match(row: Container, query: ContainerQuery) -> bool:
    """The filters that need the JSON documents, parsed only if one of them is there."""
    filters = query.filters
    if not filters.keys() & {"label", "network", "volume", "health", "is-task", "expose"}:
        return True
    config, host_config = json.loads(row.config), json.loads(row.host_config)
    return (
        filters.labels(config.get("Labels") or {})
        and (row.id in query.on_networks or filters.any_of("network", has_nothing(host_config)))
        and _has_mount(row, config, host_config, filters)
        and filters.any_of("health", row.health or "none")
        and not filters.flag("is-task")
        and _exposes(config, filters)
    )


def _has_mount(row: Container, config: Json, host_config: Json, filters: Filters) -> bool:
    """By a volume's name, a bind's source, or the place in the container."""
    points = mount_points(config, host_config, row.id, "") if "volume" in filters else []
    places = [str(one.get(key, "")) for one in points for key in ("Name", "Source", "Destination")]
    return filters.any_of("volume", *filter(None, places))


def _exposes(config: Json, filters: Filters) -> bool:
    ports = set(config.get("ExposedPorts") or {})
    return filters.any_of("expose", *ports, *(port.removesuffix("/tcp") for port in ports))


def removable(row: Container, filters: Filters, until_ns: int | None) -> bool:
    """Whether ``container prune`` takes it: at rest, old enough, and labelled as asked for."""
    if row.state not in ("created", "exited"):
        return False
    if until_ns is not None and row.created_at > until_ns:
        return False
    return prune_labels_match(filters, json.loads(row.config).get("Labels") or {})


def prune_labels_match(filters: Filters, labels: Mapping[str, str]) -> bool:
    """``label=`` must be there, ``label!=`` must not."""
    return filters.labels(labels) and not any(has_label(labels, value) for value in filters.get("label!", ()))


# -- events --------------------------------------------------------------------------------------------------


def event_wanted(event: Event, filters: Filters) -> bool:
    """Whether an event passes (moby daemon/events/filter.go)."""
    return (
        _action_wanted(event, filters)
        and filters.any_of("type", event.type)
        and filters.any_of("scope", "local")
        and filters.labels(event.attributes)
        and all(_subject_wanted(event, kind, filters) for kind in _SUBJECTS if kind in filters)
    )


_SUBJECTS = (
    "container",
    "image",
    "network",
    "volume",
    "plugin",
    "daemon",
    "service",
    "node",
    "secret",
    "config",
)


def _action_wanted(event: Event, filters: Filters) -> bool:
    """``exec_create`` is asked for by that word, and written with its command: ``exec_create: ls``."""
    return filters.any_of("event", event.action, event.action.partition(":")[0])


def _subject_wanted(event: Event, kind: str, filters: Filters) -> bool:
    """By id, its beginning, or name; an image also by the containers that are made of it."""
    name = event.attributes.get("name", "")
    if kind == "image":
        image = event.attributes.get("image", "") if event.type == "container" else name
        return filters.any_of("image", event.actor_id, image, image.partition(":")[0])
    return event.type == kind and filters.begins(kind, event.actor_id, name)


# -- images --------------------------------------------------------------------------------------------------


def select_images(
    images: Sequence[Image],
    tags: Mapping[str, Sequence[Tag]],
    filters: Filters,
    *,
    before: int | None = None,
    since: int | None = None,
) -> list[tuple[Image, list[Tag]]]:
    """The images (given newest first) that pass, each with those of its tags that do.

    ``tags``: of each image id. ``before``, ``since``: times between which an image was made.
    """
    found = []
    for image in images:
        kept = _tags_wanted(tags.get(image.id, ()), filters)
        if kept is not None and _image_wanted(image, tags.get(image.id, ()), filters, before, since):
            found.append((image, kept))
    return found


def _tags_wanted(tags: Sequence[Tag], filters: Filters) -> list[Tag] | None:
    """None: the image is not wanted."""
    if "reference" not in filters:
        return list(tags)
    return [tag for tag in tags if reference_matches(filters["reference"], tag.repository, tag.tag)] or None


def _image_wanted(
    image: Image, tags: Sequence[Tag], filters: Filters, before: int | None, since: int | None
) -> bool:
    dangling = filters.flag("dangling")
    return (
        (dangling is None or dangling is (not tags))
        and (before is None or image.created_at < before)
        and (since is None or image.created_at > since)
        and ("label" not in filters or filters.labels(image_labels(json.loads(image.config))))
    )
