"""COPY of a tree that is deep: what is there is looked up once, however far down it is."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from helpers import deep_trees

from pysup.supervisor.engine.building import placing, sources, targets
from pysup.supervisor.engine.building.placing import Manner, Place, place
from pysup.supervisor.kernel.files import closing
from pysup.supervisor.kernel.mounts import openat2

DEPTH = 200


def test_each_directory_costs_as_much_as_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()

    def noted(root: int, path: str, flags: int, *, resolve: int = 0) -> int:
        asked[path] += 1
        return openat2(root, path, flags, resolve=resolve)

    for module in (placing, sources, targets):
        monkeypatch.setattr(module, "openat2", noted)
    deep_trees.make(tmp_path / "from", DEPTH)
    (tmp_path / "to").mkdir()
    flags = os.O_RDONLY | os.O_DIRECTORY
    with (
        closing(os.open(tmp_path / "from", flags)) as origin,
        closing(os.open(tmp_path / "to", flags)) as root,
    ):
        (source,) = sources.find(origin, "d")
        place(origin, source, Place(root, "/to", Manner(owner=(os.getuid(), os.getgid()))))
    assert deep_trees.depth_of(tmp_path / "to" / "to") == DEPTH - 1
    assert asked.total() < 10 * DEPTH
