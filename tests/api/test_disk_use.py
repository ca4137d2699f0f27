"""What images, volumes and logs take: `system df`, history, tree and prune count each byte once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.daemon import Daemon
from helpers.images import Image, Member, busybox, docker_archive, layer

pytestmark = pytest.mark.kernel

BASE = busybox()
BIG = os.urandom(300_000)
LINKS: list[Member] = [
    ("big", {}, BIG),
    *((f"link{number}", {"type": tarfile.LNKTYPE, "linkname": "big"}, b"") for number in range(5)),
]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Two images that share a layer, one of them in use, and one that shares nothing."""
    with Daemon(tmp_path_factory.mktemp("use")) as started:
        images = [
            Image([BASE, layer(*LINKS)], {"Cmd": ["true"]}, ["used:1"]),
            Image([BASE, layer(("other", {}, BIG))], {"Cmd": ["true"]}, ["shares:1"], compressed=False),
            Image([layer(("alone", {}, BIG[:100_000]))], {"Cmd": ["true"]}, ["alone:1"]),
        ]
        started.pysup("load", stdin=docker_archive(*images), check=True)
        noisy = ["--name", "one", "used:1", "sh", "-c", "echo hello; echo x > /file"]
        started.pysup("run", "--network", "none", *noisy, check=True)
        yield started
        started.pysup("rm", "-f", "one", check=True)


def usage(daemon: Daemon) -> dict[str, dict[str, str]]:
    listed = daemon.docker("system", "df", "--format", "json").stdout.splitlines()
    return {row["Type"]: row for row in map(json.loads, listed)}


def document(daemon: Daemon, path: str) -> Any:
    words = ["curl", "-s", "--unix-socket", str(daemon.socket), f"http://d{path}"]
    return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)


def du(*paths: Path) -> int:
    """As du(1) counts, which counts a hard link once."""
    done = subprocess.run(["du", "-sc", "-B1", *paths], check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1].split()[0])


def test_images_are_counted_as_du_counts(daemon: Daemon) -> None:
    images = daemon.root / "images"
    found = document(daemon, "/system/df")
    assert found["LayersSize"] == du(*(images / "layers").iterdir(), *(images / "blobs/sha256").iterdir())
    assert daemon.pysup("system", "df", check=True).stdout.splitlines()[-1].startswith("Logs")
    assert set(usage(daemon)) == {"Images", "Containers", "Local Volumes", "Build Cache"}


def test_shared_layers_are_told(daemon: Daemon) -> None:
    base = os.path.getsize("/bin/busybox")
    found = {one["RepoTags"][0]: one for one in document(daemon, "/system/df")["Images"]}
    assert found["used:1"]["SharedSize"] == found["shares:1"]["SharedSize"] == base
    assert found["alone:1"]["SharedSize"] == 0
    assert found["used:1"]["Size"] == base + len(BIG), "a hard link has no size of its own"
    listed = {one["RepoTags"][0]: one for one in document(daemon, "/images/json?shared-size=1")}
    assert listed["used:1"]["SharedSize"] == base
    assert document(daemon, "/images/json")[0]["SharedSize"] == -1


def test_containers_volumes_and_logs(daemon: Daemon) -> None:
    daemon.pysup("volume", "create", "full", check=True)
    data = daemon.root / "volumes/full/_data"
    (data / "one").write_bytes(BIG)
    os.link(data / "one", data / "two")
    found = document(daemon, "/system/df")
    (volume,) = found["Volumes"]
    assert volume["UsageData"] == {"RefCount": 0, "Size": du(data / "one")}
    (container,) = found["Containers"]
    directory = daemon.root / "containers" / container["Id"]
    assert container["SizeRw"] == du(*(directory / "upper").iterdir())
    assert found["Pysup"]["Logs"] == {"Size": du(directory / "logs"), "Reclaimable": 0}
    daemon.pysup("volume", "rm", "full", check=True)


def without_the_time(found: Any) -> Any:
    """A container's status says for how many seconds it has been so."""
    return found | {"Containers": [one | {"Status": ""} for one in found["Containers"]]}


def test_only_what_is_asked_for_is_measured(daemon: Daemon) -> None:
    whole = without_the_time(document(daemon, "/system/df"))
    fields = {"container": "Containers", "image": "Images", "volume": "Volumes", "build-cache": "BuildCache"}
    for kind, field in fields.items():
        found = document(daemon, f"/v1.47/system/df?type={kind}")
        found = without_the_time(found) if kind == "container" else found
        assert found[field] == whole[field]
        assert [found[other] for other in fields.values() if other != field] == [None] * 3
    two = document(daemon, "/system/df?type=image&type=volume")
    assert (two["LayersSize"], two["Volumes"]) == (whole["LayersSize"], whole["Volumes"])
    older = document(daemon, "/v1.41/system/df?type=x")
    assert without_the_time(older) == whole, "older versions do not know it"
    assert "unknown object type: 'x'" in document(daemon, "/system/df?type=image&type=x")["message"]


def test_steps_have_the_size_of_their_layers(daemon: Daemon) -> None:
    for told in (daemon.docker("history", "used:1").stdout, daemon.pysup("history", "used:1").stdout):
        assert re.findall(r"step (\d) +(\S+)", told) == [("1", "300kB"), ("0", "1.98MB")], told
    exact = daemon.pysup("image", "history", "-H=false", "--format", "{{.CreatedBy}} {{.Size}}", "used:1")
    assert exact.stdout == f"step 1 300000\nstep 0 {os.path.getsize('/bin/busybox')}\n"
    assert daemon.pysup("image", "history", "-q", "--no-trunc", "used:1").stdout.count("sha256:") == 1
    missing = daemon.pysup("history", "nobody")
    assert missing.returncode == 1 and "no such image" in missing.stderr


def test_the_tree_of_layers(daemon: Daemon) -> None:
    every = daemon.pysup("image", "tree", check=True).stdout
    assert re.search(
        r"^\w{12}  1.98MB\n├── \w{12}  300kB  \w+:1\n└── \w{12}  300kB  \w+:1$", every, re.MULTILINE
    )
    one = daemon.pysup("image", "tree", "alone:1", check=True).stdout
    assert re.fullmatch(r"\w{12}  100kB  alone:1\n", one)
    assert daemon.pysup("image", "tree", "nobody").returncode == 1


def test_prune_tells_what_is_free_now(daemon: Daemon) -> None:
    """The last test of this file: what only unused images have goes; the layer that both have stays."""
    images = daemon.root / "images"

    def total() -> int:
        return du(*(images / "layers").iterdir(), *(images / "blobs/sha256").iterdir())

    before, announced = total(), document(daemon, "/system/df")["Pysup"]["ImagesReclaimable"]
    words = ["curl", "-s", "-X", "POST", "--unix-socket", str(daemon.socket)]
    url = 'http://d/images/prune?filters={"dangling":["false"]}'
    done = subprocess.run([*words, "-g", url], check=True, capture_output=True)
    assert json.loads(done.stdout)["SpaceReclaimed"] == before - total() == announced
    assert document(daemon, "/system/df")["Pysup"]["ImagesReclaimable"] == 0
    assert daemon.docker("images", "-q").stdout.count("\n") == 2, "host, and the one that is used"
