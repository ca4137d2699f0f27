"""SIGKILL of the engine while it pulls and pushes: the next one goes on, and nothing is half here or there."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.hostile_registry import HostileRegistry, breaks_off_after
from helpers.image_store import everything
from helpers.images import Image, busybox, layer
from helpers.mortal import Mortal, until
from helpers.registries import Registry, skopeo
from helpers.storage import assert_whole

from pysup.supervisor.images.digests import digest_of

pytestmark = pytest.mark.kernel

ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "2"))
SEED = int(os.environ.get("PYSUP_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LATEST = 1.0
"""Seconds after the beginning of a command until which the kill comes: it takes about as long."""


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with Mortal(tmp_path_factory.mktemp("mortal")) as running:
        yield running


def killed(mortal: Mortal, chance: random.Random, *words: str) -> subprocess.CompletedProcess[str]:
    """A command during which the engine dies, perhaps; the next one goes on, and nothing is half."""
    killer = threading.Timer(chance.uniform(0, LATEST), mortal.kill, ["engine"])
    killer.start()
    done = mortal.pysup(*words)
    killer.join()
    mortal.wait_until_it_serves()
    assert_whole(mortal.root)
    return done


def noise(chance: random.Random) -> Image:
    """An image that is no other."""
    layers = [layer((f"file{number}", {}, chance.randbytes(2 << 20))) for number in range(4)]
    return Image([busybox(), *layers], {"Cmd": ["echo", "whole"]})


def test_a_pull_goes_on_with_the_next_engine(mortal: Mortal, registry: Registry) -> None:
    chance = random.Random(SEED)
    for number in range(ROUNDS):
        name = registry.seed(f"pulled:{number}", noise(chance))
        killed(mortal, chance, "pull", name).check_returncode()
        assert mortal.pysup("run", "--rm", "--network", "none", name, check=True).stdout == "whole\n"
        assert not list((mortal.root / "images/partial").iterdir()), SEED
        mortal.pysup("rmi", name, check=True)
        until(lambda: everything(mortal) == [], f"all is gone (seed {SEED})")


def test_a_push_goes_on_with_the_next_engine(mortal: Mortal, registry: Registry, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    for number in range(ROUNDS):
        name = f"{registry.host}/pushed:{number}"
        plain = layer(("file", {}, chance.randbytes(8 << 20)))
        mortal.pysup("import", "-", name, stdin=plain, check=True)
        killed(mortal, chance, "push", name).check_returncode()
        assert len(mortal.inspect(name)["RepoDigests"]) == 1, SEED
        skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/{number}")
        mortal.pysup("rmi", name, check=True)


def test_a_pull_goes_on_with_the_next_daemon(mortal: Mortal) -> None:
    end = threading.Event()
    made = Image([layer(("file", {}, random.Random(1).randbytes(4 << 20)))])
    digest = digest_of(made.blobs[0])
    path, beginning = f"/v2/a/blobs/{digest}", mortal.root / "images/partial" / digest.removeprefix("sha256:")
    with HostileRegistry() as hostile, ThreadPoolExecutor(1) as pool:
        name = hostile.add("a", "1", made)
        hostile.misbehave(path, breaks_off_after(3 << 20, end))
        pulling = pool.submit(mortal.pysup, "pull", name)
        until(lambda: beginning.exists() and beginning.stat().st_size >= 2 << 20, "2 MiB are there")
        mortal.kill("keeper", "engine")
        mortal.bury()
        end.set()
        assert pulling.result().returncode != 0, "nobody is there to go on with"
        mortal.start()
        assert_whole(mortal.root)
        mortal.pysup("pull", name, check=True)
        begin = [one.headers.get("Range", "") for one in hostile.asked if one.path == path][-1]
        assert 2 << 20 <= int(begin.removeprefix("bytes=").removesuffix("-")) <= 3 << 20
    mortal.pysup("rmi", name, check=True)
