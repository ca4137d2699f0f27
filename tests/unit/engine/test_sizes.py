"""What a container takes on disk, whatever it has made there."""

from __future__ import annotations

import os
from pathlib import Path

from pysup.supervisor.engine.containers.sizes import tree_sizes
from pysup.supervisor.runtime import trees


def test_a_tree_of_any_depth_is_counted(tmp_path: Path) -> None:
    """Also what lies deeper than a path can say."""
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (top / "file").write_bytes(bytes(100_000))
    os.link(top / "file", top / "again")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "d").mkdir()
    found, one = tree_sizes([str(top)]), tree_sizes([str(empty)])
    assert found == (top / "file").stat().st_blocks * 512 + 2500 * one
    assert tree_sizes([str(tmp_path / "missing")]) == 0
    trees.remove(str(top))
