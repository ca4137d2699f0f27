from __future__ import annotations

import json
from typing import Any

import pytest
from helpers.rows import ID, NOW, SECOND, container

from pysup.store.events import Event
from pysup.store.images import Image, Tag
from pysup.supervisor.api.filters import Filters, until_ns
from pysup.supervisor.api.selection import (
    ContainerQuery,
    check_container_filters,
    event_wanted,
    removable,
    select_containers,
    select_images,
)
from pysup.supervisor.errors import BadRequest

LABELLED = {
    "Labels": {"tier": "web"},
    "ExposedPorts": {"80/tcp": {}},
    "HostConfig": {"Binds": ["/srv:/data"]},
}
ROWS = [
    container(name="newest", id="c" * 64, state="exited", exit_code=3, created_at=30),
    container(LABELLED, name="middle", id="b" * 64, created_at=20),
    container(name="oldest", id="a" * 64, state="backoff", image_id="sha256:2", created_at=10),
]


def chosen(filters: dict[str, tuple[str, ...]] | None = None, **query: Any) -> list[str]:
    return [row.name for row in select_containers(ROWS, ContainerQuery(Filters(filters or {}), **query))]


def test_without_all_only_what_runs_is_listed() -> None:
    assert chosen() == ["middle", "oldest"]
    assert chosen(everything=True) == ["newest", "middle", "oldest"]
    assert chosen(limit=2) == ["newest", "middle"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"status": ("exited",)}, ["newest"]),
        ({"status": ("restarting", "running")}, ["middle", "oldest"]),
        ({"id": ("bb",)}, ["middle"]),
        ({"name": ("^/?o",)}, ["oldest"]),
        ({"exited": ("3",), "status": ("exited",)}, ["newest"]),
        ({"exited": ("0",), "status": ("exited",)}, []),
        ({"label": ("tier=web",)}, ["middle"]),
        ({"volume": ("/data",)}, ["middle"]),
        ({"volume": ("/srv",)}, ["middle"]),
        ({"network": ("none",)}, ["middle", "oldest"]),
        ({"network": ("host",)}, []),
        ({"expose": ("80",)}, ["middle"]),
        ({"publish": ("80",)}, []),
        ({"health": ("healthy",)}, []),
        ({"is-task": ("false",)}, ["middle", "oldest"]),
        ({"is-task": ("true",)}, []),
    ],
)
def test_filters_choose_containers(filters: dict[str, tuple[str, ...]], names: list[str]) -> None:
    assert chosen(filters) == names


def test_what_was_looked_up_chooses_too() -> None:
    assert chosen(images=frozenset({"sha256:2"})) == ["oldest"]
    assert chosen({"network": ("mine",)}, on_networks=frozenset({"b" * 64})) == ["middle"]
    assert chosen({"publish": ("80",)}, publishing=frozenset({"b" * 64})) == ["middle"]
    assert chosen(created_before=20) == ["oldest"]
    assert chosen(created_since=10) == ["middle"]


@pytest.mark.parametrize("filters", [{"status": ("dying",)}, {"health": ("x",)}, {"exited": ("x",)}])
def test_a_value_that_cannot_be_is_refused(filters: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(BadRequest, match="invalid filter"):
        check_container_filters(Filters(filters))


def test_prune_takes_what_rests_is_old_enough_and_labelled() -> None:
    rest = container(LABELLED, state="exited", created_at=100)
    assert removable(rest, Filters(), None)
    assert removable(rest, Filters({"label": ("tier",)}), 100)
    assert not removable(rest, Filters(), 99)
    assert not removable(rest, Filters({"label!": ("tier=web",)}), None)
    assert not removable(container(state="backoff"), Filters(), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - 7200 * SECOND),
        ("1500.5", 1500 * SECOND + SECOND // 2),
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15", NOW - 8 * 3600 * SECOND),
    ],
)
def test_until_is_a_duration_or_a_moment(text: str, expected: int) -> None:
    assert until_ns(Filters(until=(text,)), NOW) == expected
    assert until_ns(Filters(), NOW) is None


@pytest.mark.parametrize("values", [("x",), ("",), ("xs",), ("1h", "2h"), ("1" * 60,)])
def test_an_until_that_is_no_time_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest, match="until"):
        until_ns(Filters(until=values), NOW)


DIE = Event(1, NOW, "container", "die", ID, {"name": "web", "image": "alpine:3", "tier": "web"}, 0, 0)
EXEC = Event(2, NOW, "container", "exec_create: ls", ID, {"name": "web"}, 0, 0)
PULL = Event(3, NOW, "image", "import", "sha256:1", {"name": "alpine:3"}, 0, 0)


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({}, [DIE, EXEC, PULL]),
        ({"event": ("die",)}, [DIE]),
        ({"event": ("exec_create",)}, [EXEC]),
        ({"event": ("exec_create: ls",)}, [EXEC]),
        ({"type": ("image",)}, [PULL]),
        ({"container": ("web",)}, [DIE, EXEC]),
        ({"container": (ID[:12],)}, [DIE, EXEC]),
        ({"container": ("other",)}, []),
        ({"image": ("alpine",)}, [DIE, PULL]),
        ({"image": ("alpine:3",)}, [DIE, PULL]),
        ({"label": ("tier=web",)}, [DIE]),
        ({"network": ("x",)}, []),
        ({"scope": ("swarm",)}, []),
    ],
)
def test_filters_choose_events(filters: dict[str, tuple[str, ...]], passing: list[Event]) -> None:
    assert [event for event in (DIE, EXEC, PULL) if event_wanted(event, Filters(filters))] == passing


def image(number: int, **config: Any) -> Image:
    return Image(f"sha256:{number}", (), 0, number, json.dumps({"config": config}))


IMAGES = [image(3), image(2, Labels={"a": "b"}), image(1)]
TAGS = {
    "sha256:2": [Tag("alpine", "3", "sha256:2"), Tag("mine", "1", "sha256:2")],
    "sha256:1": [Tag("x", "1", "")],
}


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, [3, 2, 1]),
        ({"dangling": ("true",)}, [3]),
        ({"dangling": ("false",)}, [2, 1]),
        ({"label": ("a=b",)}, [2]),
        ({"reference": ("alp*",)}, [2]),
        ({"reference": ("nope",)}, []),
    ],
)
def test_filters_choose_images(filters: dict[str, tuple[str, ...]], numbers: list[int]) -> None:
    assert [image.created_at for image, _ in select_images(IMAGES, TAGS, Filters(filters))] == numbers


def test_only_the_tags_that_match_are_shown() -> None:
    [(_, tags)] = select_images(IMAGES, TAGS, Filters(reference=("alpine",)))
    assert [tag.repository for tag in tags] == ["alpine"]
    assert len(select_images(IMAGES, TAGS, Filters(), before=3, since=1)) == 1
