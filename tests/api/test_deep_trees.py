"""Trees of 1,500 directories, each in the one before: into containers and images, and out of them.

What is deeper than a path may be long (4,096 bytes, path_resolution(7)) is refused, by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import deep_trees
from helpers.daemon import Daemon
from helpers.images import Image, busybox, docker_archive

pytestmark = pytest.mark.kernel

DEPTH, TOO_DEEP = 1500, 2500
BASE = Image([busybox()], {"Env": ["PATH=/bin"]}, ["base:1"])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with (
        deep_trees.removed(tmp_path_factory.mktemp("deep")) as directory,
        Daemon(directory) as started,
    ):
        started.pysup("load", stdin=docker_archive(BASE), check=True)
        yield started


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    with deep_trees.removed(tmp_path):
        yield tmp_path


def test_a_deep_tree_is_copied_in_and_out(daemon: Daemon, place: Path) -> None:
    deep_trees.make(place / "deep", DEPTH)
    daemon.pysup("create", "--name", "box", "--network", "none", "host", "true", check=True)
    daemon.pysup("cp", str(place / "deep"), "box:/srv/deep", check=True)
    daemon.pysup("cp", "box:/srv/deep", str(place / "back"), check=True)
    assert deep_trees.depth_of(place / "back") == DEPTH
    daemon.pysup("rm", "box", check=True)


def test_a_deep_context_is_built_and_copied_from_stage_to_stage(daemon: Daemon, place: Path) -> None:
    deep_trees.make(place / "context", DEPTH)
    steps = "FROM base:1 AS one\nCOPY d /srv/d\nFROM base:1\nCOPY --from=one /srv/d /srv/e\n"
    (place / "context" / "Dockerfile").write_text(steps)
    daemon.pysup("build", "-t", "deep", str(place / "context"), check=True)
    find = "cd /srv/e; while cd d 2>/dev/null; do echo; done; cat leaf"
    told = daemon.pysup("run", "--rm", "--network", "none", "deep", "sh", "-c", find, check=True).stdout
    assert told == "\n" * (DEPTH - 1) + "here"


def test_one_whose_paths_are_too_long_is_refused_by_name(daemon: Daemon, place: Path) -> None:
    deep_trees.make(place / "deep", TOO_DEEP)
    (place / "deep" / "Dockerfile").write_text("FROM base:1\n")
    daemon.pysup("create", "--name", "box", "--network", "none", "host", "true", check=True)
    for words in (["cp", str(place / "deep"), "box:/srv/deep"], ["build", str(place / "deep")]):
        done = daemon.pysup(*words)
        assert done.returncode == 1
        assert "cannot unpack entry" in done.stderr
        assert done.stderr.rstrip().endswith(": File name too long")
        assert "Traceback" not in done.stderr
    daemon.pysup("rm", "box", check=True)
