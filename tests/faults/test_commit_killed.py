"""SIGKILL of the engine while it commits: the image is there wholly or not at all, and the container moves."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.images import Image, busybox, oci_archive
from helpers.mortal import Mortal, until

pytestmark = pytest.mark.kernel

ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "6"))
SEED = int(os.environ.get("PYSUP_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LATEST = 0.3
"""Seconds after the beginning of a commit until which the kill comes."""


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    with Mortal(tmp_path) as running:
        running.pysup(
            "load", stdin=oci_archive(Image([busybox()], {"Env": ["PATH=/bin"]}, ["base:1"])), check=True
        )
        yield running


def in_use(mortal: Mortal) -> set[str]:
    """What belongs to images, by the store."""
    with contextlib.closing(sqlite3.connect(f"file:{mortal.root}/pysup.db?mode=ro", uri=True)) as conn:
        blobs = {
            f"blobs/sha256/{digest.removeprefix('sha256:')}"
            for (digest,) in conn.execute("SELECT digest FROM blob")
        }
        layers = {f"layers/{name}" for (name,) in conn.execute("SELECT name FROM layer")}
    return blobs | layers


def on_disk(mortal: Mortal) -> set[str]:
    images = mortal.root / "images"
    return {
        f"{kind}/{name}" for kind in ("blobs/sha256", "layers", "tmp") for name in os.listdir(images / kind)
    }


def test_a_commit_that_is_killed_leaves_nothing_half(mortal: Mortal) -> None:
    chance = random.Random(SEED)
    mortal.pysup("run", "-d", "--name", "box", "base:1", "sleep", "600", check=True)
    made = 0
    for number in range(ROUNDS):
        fill = f"cat {' '.join(['/bin/busybox'] * 10)} > /big{number}"
        mortal.pysup("exec", "box", "sh", "-c", fill, check=True)
        killer = threading.Timer(chance.uniform(0, LATEST), mortal.kill, ["engine"])
        killer.start()
        done = mortal.pysup("commit", "box", f"made:{number}")
        killer.join()
        mortal.wait_until_it_serves()
        until(lambda: on_disk(mortal) == in_use(mortal), f"no garbage (seed {SEED})")
        listed = mortal.pysup("images", "-q", "made", check=True).stdout.split()
        assert len(listed) in ({made + 1} if done.returncode == 0 else {made, made + 1}), (SEED, done.stderr)
        made = len(listed)
        assert mortal.pysup("exec", "box", "echo", "moves", timeout=30).stdout == "moves\n", SEED
    mortal.pysup("rm", "-f", "box", check=True)
