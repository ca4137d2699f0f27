"""Layers of images as a tree."""

from __future__ import annotations

from typing import Any

from pysup.supervisor.cli.commands.image_tree import forest, lines

_HEX = 64


def image(number: int, layers: str, *names: str) -> dict[str, Any]:
    """Each letter is a layer."""
    made = [{"Digest": "sha256:" + letter * _HEX, "Size": 1000} for letter in layers]
    return {"Id": f"sha256:{number:064}", "RepoTags": list(names), "Layers": made}


def shown(*images: dict[str, Any]) -> list[str]:
    return [line.replace("  1kB", "") for line in lines(forest(images))]


def test_one_layer_after_the_other() -> None:
    assert shown(image(1, "ab", "app:1", "app:2"), image(2, "a", "base:1")) == [
        f"{'a' * 12}  base:1",
        f"{'b' * 12}  app:1, app:2",
    ]


def test_ways_part() -> None:
    found = shown(image(1, "abcd", "one:1"), image(2, "abef"), image(3, "abeg", "two:1"), image(4, "h"))
    assert found == [
        "a" * 12,
        "b" * 12,
        f"├── {'c' * 12}",
        f"│   {'d' * 12}  one:1",
        f"└── {'e' * 12}",
        f"    ├── {'f' * 12}  000000000000",
        f"    └── {'g' * 12}  two:1",
        "",
        f"{'h' * 12}  000000000000",
    ]


def test_nothing_below() -> None:
    assert shown(image(1, "", "host:latest")) == ["(no layers)  host:latest"]
    assert shown() == []
