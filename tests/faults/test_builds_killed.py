"""SIGKILL of the daemon's processes at any moment of a build: no container, no file, no half step is left of it."""

from __future__ import annotations

import contextlib
import os
import random
import select
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.contexts import build, built, context, of_image
from helpers.images import Image, busybox, docker_archive
from helpers.mortal import Mortal, until

pytestmark = pytest.mark.kernel

ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "3"))
SEED = int(os.environ.get("PYSUP_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LATEST = 0.6
"""Seconds after the beginning of a build until which the kill comes."""
STEPS = """FROM base:1 AS one
ENV round={0}
COPY f /f
RUN echo {0} > /made; head -c 300000 /dev/zero > /big
WORKDIR /w
FROM base:1
COPY --from=one /made /big /from/
RUN cat /from/made > /end
"""


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    with Mortal(tmp_path) as running:
        image = Image([busybox()], {"Env": ["PATH=/bin"], "Cmd": ["sh"]}, ["base:1"])
        running.pysup("load", stdin=docker_archive(image), check=True)
        yield running


def rows(mortal: Mortal, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{mortal.root}/pysup.db?mode=ro", uri=True)) as conn:
        return conn.execute(sql).fetchall()


def stored(mortal: Mortal) -> set[str]:
    """Every blob and layer, and whatever lies in tmp/."""
    images = mortal.root / "images"
    kinds = ("blobs/sha256", "layers", "tmp")
    return {str(path.relative_to(images)) for kind in kinds for path in (images / kind).iterdir()}


def owned(mortal: Mortal) -> set[str]:
    """What the rows say that there is."""
    found = {f"blobs/sha256/{digest[7:]}" for (digest,) in rows(mortal, "SELECT digest FROM blob")}
    return found | {f"layers/{name}" for (name,) in rows(mortal, "SELECT name FROM layer")}


def is_clean(mortal: Mortal) -> bool:
    alive = rows(mortal, "SELECT count(*) FROM container WHERE state <> 'removed'")
    return alive == [(0,)] and stored(mortal) == owned(mortal)


@pytest.mark.parametrize("victims", [("engine",), ("keeper",), ("engine", "keeper")], ids=" and ".join)
def test_nothing_is_left_of_a_build_whose_daemon_is_killed(mortal: Mortal, victims: tuple[str, ...]) -> None:
    """``engine`` and ``keeper`` are killed in turns, not at once."""
    print("seed", SEED)
    dice = random.Random(f"{SEED} {victims}")
    before = stored(mortal)
    for number in range(ROUNDS):
        archive = context(STEPS.format(number), ("f", "file"))
        client = threading.Thread(target=build, args=(mortal, archive), kwargs={"t": f"made:{number}"})
        client.start()
        select.select([], [], [], dice.uniform(0, LATEST))  # the moment is the fault
        mortal.kill(victims[number % len(victims)])
        mortal.wait_until_it_serves()
        client.join()
        until(lambda: is_clean(mortal), f"nothing to be left after round {number}")
        assert rows(mortal, "PRAGMA integrity_check") == [("ok",)]
        assert rows(mortal, "PRAGMA foreign_key_check") == []
    told = built(mortal, archive, t="made:last")
    assert "Successfully tagged made:last" in told.text
    assert of_image(mortal, "made:last", "cat /end") == f"{ROUNDS - 1}\n"
    for (image_id,) in rows(mortal, "SELECT DISTINCT image_id FROM image_tag WHERE repository = 'made'"):
        assert mortal.docker("rmi", "-f", image_id).returncode == 0
    mortal.docker("builder", "prune", "-af")
    until(lambda: stored(mortal) == before, "all that builds have made to go")
