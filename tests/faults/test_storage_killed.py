"""SIGKILL of the daemon's processes while images and volumes come and go: what is named is whole, the rest gone."""

from __future__ import annotations

import contextlib
import os
import random
import select
from collections.abc import Callable

import pytest
from helpers.images import Image, busybox, docker_archive, layer, oci_archive
from helpers.mortal import Mortal, until
from helpers.storage import assert_whole, rows, stored
from helpers.storms import Storm, storming

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import Conflict, NotFound, PysupError

pytestmark = pytest.mark.kernel

ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "8"))
SEED = int(os.environ.get("PYSUP_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LATEST = 0.4
"""Seconds after the beginning of a round until which the kill comes."""
_PIECE = 1 << 16
BASE = busybox()
MANY = layer(*((f"many/{number}", {}, b"%d" % number * 500) for number in range(400)))


def image(name: str) -> Image:
    """Two layers that all have, and one of its own."""
    own = layer(("name", {}, name.encode()), ("noise", {}, random.Random(name).randbytes(200_000)))
    return Image([BASE, MANY, own], {"Cmd": ["cat", "/name"]}, [name])


def send(client: Client, path: str, content: bytes) -> None:
    """Post an archive. Raises PysupError for what the last line says."""
    pieces = iter([content[at : at + _PIECE] for at in range(0, len(content), _PIECE)])
    for line in client.stream_json("POST", path, body=pieces):
        if "error" in line:
            raise PysupError(line["error"])


def loading(*images: Image, pack: Callable[..., bytes]) -> Callable[[Client], None]:
    """Load an archive, and remove its images."""
    archive = pack(*images)

    def act(client: Client) -> None:
        send(client, "/images/load?quiet=1", archive)
        for one in images:
            client.delete(f"/images/{one.names[0]}")

    return act


def importing(client: Client) -> None:
    """Import an image without a name, and prune."""
    send(client, "/images/create?fromSrc=-", MANY)
    client.post("/images/prune")


def volumes(client: Client) -> None:
    """Volumes come, one by a container with something to copy, and go, one by one and together."""
    client.post("/volumes/create", {"Name": "one"})
    client.delete("/volumes/one")
    body = {"Image": "kept:1", "HostConfig": {"Binds": ["filled:/many"], "NetworkMode": "none"}}
    made = client.post("/containers/create", body)["Id"]
    client.delete(f"/containers/{made}", query={"v": "1"})
    client.post("/volumes/prune", query={"filters": '{"all": ["1"]}'})


@pytest.mark.parametrize("victims", [("engine",), ("keeper", "engine")], ids=" and ".join)
def test_whoever_is_killed_images_and_volumes_are_whole(mortal: Mortal, victims: tuple[str, ...]) -> None:
    """``engine`` and ``keeper`` are killed in turns."""
    print("seed", SEED)
    dice = random.Random(f"{SEED} {victims}")
    with contextlib.closing(mortal.client()) as client:
        send(client, "/images/load", docker_archive(image("kept:1")))
    acts = [
        loading(image("a:1"), image("b:1"), pack=docker_archive),
        loading(image("c:1"), pack=oci_archive),
        importing,
        volumes,
    ]
    with storming(Storm(mortal, act, (NotFound, Conflict)) for act in acts):
        for number in range(ROUNDS):
            select.select([], [], [], dice.uniform(0, LATEST))  # the moment is the fault
            mortal.kill(victims[number % len(victims)])
            mortal.wait_until_it_serves()
    mortal.kill("engine")  # what is only removed by a start is removed now
    mortal.wait_until_it_serves()
    assert_whole(mortal.root)
    assert_everything_can_go(mortal)


def assert_everything_can_go(mortal: Mortal) -> None:
    """Every image that is listed runs and can be saved; then all is removed, and nothing is left."""
    for (name,) in rows(mortal.root, "SELECT repository FROM image_tag WHERE repository <> 'host'"):
        done = mortal.pysup("run", "--rm", "--network", "none", f"{name}:1", check=True)
        assert done.stdout == f"{name}:1"
        mortal.pysup("save", "-o", "/dev/null", f"{name}:1", check=True)
    for (made,) in rows(mortal.root, "SELECT id FROM container WHERE state <> 'removed'"):
        mortal.pysup("rm", "-f", made, check=True)
    mortal.pysup("image", "prune", "-af", check=True)
    mortal.pysup("volume", "prune", "-af", check=True)
    assert stored(mortal.root) == []
    assert list((mortal.root / "volumes").iterdir()) == []
    until(lambda: list((mortal.root / "trash").iterdir()) == [], "what was removed is unlinked")
    remembered = {made for (made,) in rows(mortal.root, "SELECT id FROM container")}
    assert {path.name for path in (mortal.root / "containers").glob("[!.]*")} <= remembered
