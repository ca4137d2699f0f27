"""pull: from docker-registry, seeded by skopeo, by the docker command line and by ours."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from helpers.daemon import Daemon
from helpers.images import Image, busybox, layer
from helpers.registries import Registry

from pysup.supervisor.images.digests import digest_of

pytestmark = pytest.mark.kernel

BASE = busybox()


def image(text: str = "hello", **others: str) -> Image:
    return Image([BASE, layer(("file", {}, text.encode()))], {"Cmd": ["cat", "/file"]}, ["x:1"], **others)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("pulling"), "--max-download-attempts", "2") as started:
        yield started


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """A daemon whose images are gone after the test, and everything with them."""
    yield shared
    listed = shared.docker("images", "-a", "--no-trunc", "--format", "json").stdout.splitlines()
    for one in {json.loads(line)["ID"] for line in listed if json.loads(line)["Repository"] != "host"}:
        assert shared.docker("rmi", "-f", one).stderr == ""
    assert stored(shared) == []


def stored(daemon: Daemon) -> list[str]:
    """Every blob and layer, and whatever lies in tmp/."""
    images = daemon.root / "images"
    return sorted(
        str(path.relative_to(images))
        for kind in ("blobs/sha256", "layers", "tmp")
        for path in (images / kind).iterdir()
    )


def test_docker_pulls_by_tag_and_by_digest(daemon: Daemon, registry: Registry) -> None:
    made = image()
    name = registry.seed("some/app:1", made)
    pulled = daemon.docker("pull", name)
    assert pulled.stderr == "" and pulled.returncode == 0
    digest = digest_of(made.manifest)
    lines = pulled.stdout.splitlines()
    assert lines[0] == "1: Pulling from some/app"
    assert lines[-3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}", name]
    assert daemon.docker("run", "--rm", name).stdout == "hello"
    again = daemon.docker("pull", name).stdout
    assert f"Status: Image is up to date for {name}" in again
    (inspected,) = json.loads(daemon.docker("inspect", name).stdout)
    by_digest = f"{registry.host}/some/app@{digest}"
    assert inspected["Id"] == made.id
    assert inspected["RepoTags"] == [name] and inspected["RepoDigests"] == [by_digest]
    daemon.docker("rmi", name)
    assert daemon.docker("pull", by_digest).returncode == 0
    assert daemon.docker("run", "--rm", by_digest).stdout == "hello"
