"""pull: from docker-registry, seeded by skopeo, by the docker command line and by ours."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.daemon import Daemon
from helpers.hostile_registry import (
    Content,
    Handler,
    HostileRegistry,
    Misdeed,
    answers,
    breaks_off_after,
    gives,
    hangs_up,
    ignores_ranges,
    waits_for,
)
from helpers.image_store import everything, forget_images
from helpers.images import Image, busybox, descriptor, encode, layer
from helpers.mortal import until
from helpers.registries import Registry
from helpers.storage import stored
from helpers.terminals import Terminal

from pysup.supervisor.client.sync import Client
from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import OCI_INDEX, OCI_MANIFEST

pytestmark = pytest.mark.kernel

BASE = busybox()
WITHIN = 60.0
"""Seconds for what a test waits for."""


def image(text: str = "hello", **others: str) -> Image:
    return Image([BASE, layer(("file", {}, text.encode()))], {"Cmd": ["cat", "/file"]}, ["x:1"], **others)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("pulling"), "--max-download-attempts", "2") as started:
        yield started


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """A daemon whose images are gone after the test, and everything with them."""
    yield shared
    forget_images(shared)


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


@pytest.mark.parametrize("form", ["v2s2", "oci"])
def test_each_form_of_manifest(daemon: Daemon, registry: Registry, form: str) -> None:
    name = registry.seed(f"forms/{form}:1", image(), options=["--format", form])
    daemon.pysup("pull", "--quiet", name, check=True)
    assert daemon.pysup("run", "--rm", name, check=True).stdout == "hello"
    saved = daemon.pysup("inspect", "-f", "{{index .RepoDigests 0}}", name, check=True).stdout.strip()
    assert saved == f"{registry.host}/forms/{form}@{registry.inspect(f'forms/{form}:1')['Digest']}"


def test_the_platform_is_chosen_from_an_index(daemon: Daemon) -> None:
    other = Image([layer(("other", {}, b""))], architecture="s390x")
    with HostileRegistry() as registry:
        for one in (image(), other):
            registry.add("multi", "each", one)
        index = index_of(image(), other)
        registry.put_manifest("multi", "1", index, OCI_INDEX)
        name = f"{registry.host}/multi:1"
        pulled = daemon.pysup("pull", name, check=True)
        assert f"Digest: {digest_of(index)}\n" in pulled.stdout, "that of the index"
        assert daemon.inspect(name)["Id"] == image().id
        daemon.pysup("pull", "--platform", "linux/s390x", name, check=True)
        assert daemon.inspect(name)["Architecture"] == "s390x"
        none = daemon.docker("pull", "--platform", "linux/riscv64", name)
        assert none.returncode == 1 and "there is linux/amd64, linux/s390x" in none.stderr
        single = daemon.pysup("pull", "--platform", "linux/riscv64", f"{registry.host}/multi:each")
        assert single.stderr.endswith("the image is for linux/s390x, not linux/riscv64\n")


def index_of(*images: Image) -> bytes:
    entries = [
        descriptor(one.manifest, OCI_MANIFEST, platform={"os": "linux", "architecture": one.architecture})
        for one in images
    ]
    return encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


@pytest.mark.parametrize("program", ["docker", "pysup"])
def test_a_terminal_sees_bars(daemon: Daemon, program: str) -> None:
    seen = threading.Event()

    def half(handler: Handler, content: Content) -> None:
        handler.send_head(content)
        handler.wfile.write(content.body[: len(content.body) // 2])
        seen.wait(WITHIN)
        handler.wfile.write(content.body[len(content.body) // 2 :])

    made = Image([layer(("file", {}, random.Random(2).randbytes(1 << 20)))])
    with HostileRegistry() as registry:
        name = registry.add("a", "1", made)
        registry.misbehave(f"/v2/a/blobs/{digest_of(made.blobs[0])}", half)
        command = ["docker", "-H", f"unix://{daemon.socket}"] if program == "docker" else daemon.command()
        terminal = Terminal([*command, "pull", name], rows=24, columns=120)
        terminal.until(b"Downloading [=========================>")
        seen.set()
        assert b"\x1b[1A" in terminal.until(b"Pull complete"), "a line of its own, written anew"
        terminal.until(f"Status: Downloaded newer image for {name}".encode())
        terminal.until(name.encode() + b"\r\n")
        assert terminal.code() == 0


def test_what_is_there_is_not_downloaded_again(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        first, second = registry.add("a", "1", image()), registry.add("b", "1", image("other"))
        daemon.pysup("pull", first, check=True)
        told = daemon.pysup("pull", second, check=True).stdout
        base = digest_of(image().blobs[0])
        assert f"{base[7:19]}: Already exists\n" in told
        assert [asked.path for asked in registry.asked if base in asked.path] == [f"/v2/a/blobs/{base}"]


def test_a_download_goes_on_where_it_broke_off(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name, blob = registry.add("a", "1", image()), image().blobs[0]
        path = f"/v2/a/blobs/{digest_of(blob)}"
        registry.misbehave(path, breaks_off_after(100_000), hangs_up(), breaks_off_after(50_000))
        daemon.pysup("pull", name, check=True)
        ranges = [asked.headers.get("Range") for asked in registry.asked if asked.path == path]
        assert ranges == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]
        assert daemon.pysup("run", "--rm", name, check=True).stdout == "hello"


def test_a_later_pull_goes_on_too_also_without_ranges(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name, blob = registry.add("a", "1", image()), image().blobs[0]
        path = f"/v2/a/blobs/{digest_of(blob)}"
        registry.misbehave(path, breaks_off_after(1000), hangs_up(), hangs_up())
        refused = daemon.pysup("pull", name)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"pysup: cannot pull {name}: {registry.host}: ")
        registry.misbehave(path, ignores_ranges())
        daemon.pysup("pull", name, check=True)
        assert [one.headers.get("Range") for one in registry.asked if one.path == path][-1:] == [
            "bytes=1000-"
        ]
        assert daemon.pysup("run", "--rm", name, check=True).stdout == "hello"


def test_a_layer_is_unpacked_while_it_comes(daemon: Daemon) -> None:
    seen = threading.Event()

    def two_thirds(handler: Handler, content: Content) -> None:
        handler.send_head(content)
        handler.wfile.write(content.body[: 6 << 20])
        seen.wait(WITHIN)
        handler.wfile.write(content.body[6 << 20 :])

    first, second = (random.Random(seed).randbytes(4 << 20) for seed in (3, 4))
    made = Image([layer(("first", {}, first), ("second", {}, second))])

    def unpacked() -> bool:
        found = (daemon.root / "images/tmp").glob("*/layer/first")
        return any(path.stat().st_size >= 1 << 20 for path in found)

    with HostileRegistry() as registry, ThreadPoolExecutor(1) as pool:
        name = registry.add("a", "1", made)
        registry.misbehave(f"/v2/a/blobs/{digest_of(made.blobs[0])}", two_thirds)
        pulling = pool.submit(daemon.pysup, "pull", name)
        until(unpacked, "a part of the first file")
        seen.set()
        pulling.result().check_returncode()
        assert daemon.inspect(name)["Id"] == made.id


def test_wrong_content_is_refused_and_not_kept(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name, made = registry.add("a", "1", image()), image()
        blob = made.blobs[1]
        wrong = bytes([blob[0] ^ 1, *blob[1:]])
        for path, body, cause in (
            (f"blobs/{digest_of(blob)}", wrong, "its content has the digest"),
            (f"blobs/{digest_of(blob)}", blob + b"more", "it has more than"),
            (f"blobs/{digest_of(made.document)}", made.document + b" ", "instead of"),
            (f"manifests/{digest_of(made.manifest)}", made.manifest + b" ", "its content has the digest"),
        ):
            registry.misbehave(f"/v2/a/{path}", gives(body))
            asked = name.removesuffix(":1") + f"@{digest_of(made.manifest)}"
            refused = daemon.docker("pull", asked)
            assert refused.returncode == 1 and cause in refused.stderr, path
            assert stored(daemon.root) == []
            assert f"partial/{digest_of(blob).removeprefix('sha256:')}" not in everything(daemon)


@pytest.mark.parametrize(
    ("misdeed", "cause"),
    [
        (answers(401), "authentication required"),
        (answers(403), "access denied"),
        (answers(404), "not found"),
        (answers(429, Retry_After="3600"), "too many requests"),
        (gives(b"no JSON"), "it is not JSON"),
        (gives(b"x" * (9 << 20)), "an answer has more than"),
        (gives(b"{}", "application/vnd.docker.distribution.manifest.v1+json"), "its kind is not supported"),
    ],
)
def test_refusals_are_one_clear_line(daemon: Daemon, misdeed: Misdeed, cause: str) -> None:
    with HostileRegistry() as registry:
        registry.misbehave("/v2/a/manifests/1", misdeed)
        by_docker = daemon.docker("pull", f"{registry.host}/a:1")
        assert by_docker.returncode == 1 and cause in by_docker.stderr
        registry.misbehave("/v2/a/manifests/1", misdeed)
        ours = daemon.pysup("pull", f"{registry.host}/a:1")
        assert ours.returncode == 1 and cause in ours.stderr and ours.stderr.count("\n") == 1
        assert stored(daemon.root) == []


def test_what_passes_is_tried_again(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name = registry.add("a", "1", image())
        registry.misbehave("/v2/a/manifests/1", answers(503))
        registry.misbehave(f"/v2/a/blobs/{digest_of(image().document)}", answers(429, Retry_After="0"))
        registry.misbehave(f"/v2/a/blobs/{digest_of(image().blobs[0])}", answers(500))
        daemon.pysup("pull", name, check=True)


def test_nobody_there_and_no_such_host(daemon: Daemon) -> None:
    refused = daemon.docker("pull", "127.0.0.1:1/a")
    assert "cannot pull 127.0.0.1:1/a:latest: 127.0.0.1:1: Connection refused" in refused.stderr
    assert daemon.pysup("pull", "NOT/valid").returncode == 1


def test_two_pulls_at_once_share_the_download(daemon: Daemon) -> None:
    begin = threading.Event()
    with HostileRegistry() as registry, ThreadPoolExecutor(2) as pool:
        name, blob = registry.add("a", "1", image()), image().blobs[0]
        path = f"/v2/a/blobs/{digest_of(blob)}"
        registry.misbehave(path, waits_for(begin, ignores_ranges()))
        pulls = [pool.submit(daemon.pysup, "pull", name) for _ in range(2)]
        begin.set()
        assert [pull.result().returncode for pull in pulls] == [0, 0]
        assert len([one for one in registry.asked if one.path == path]) == 1


def test_a_pull_goes_on_after_the_engine_was_killed(daemon: Daemon) -> None:
    never = threading.Event()
    made = Image([layer(("file", {}, random.Random(1).randbytes(4 << 20)))])
    digest = digest_of(made.blobs[0])
    path, partial = f"/v2/a/blobs/{digest}", daemon.root / "images/partial" / digest.removeprefix("sha256:")
    with HostileRegistry() as registry, ThreadPoolExecutor(1) as pool:
        name = registry.add("a", "1", made)
        registry.misbehave(path, breaks_off_after(3 << 20, never))
        pulling = pool.submit(daemon.pysup, "pull", name)
        until(lambda: partial.exists() and partial.stat().st_size >= 2 << 20, "2 MiB are there")
        os.kill(daemon.engine_pid, signal.SIGKILL)
        never.set()
        pulling.result().check_returncode()
        begin = [asked.headers.get("Range", "") for asked in registry.asked if asked.path == path][-1]
        assert 2 << 20 <= int(begin.removeprefix("bytes=").removesuffix("-")) <= 3 << 20


def test_a_client_that_leaves_ends_its_pull(daemon: Daemon) -> None:
    end = threading.Event()

    def stop(handler: Handler, content: Content) -> None:
        handler.send_head(content)
        handler.wfile.write(content.body[: 3 << 20])
        end.wait(WITHIN)

    made = Image([layer(("file", {}, random.Random(5).randbytes(4 << 20)))])
    partial = daemon.root / "images/partial" / digest_of(made.blobs[0]).removeprefix("sha256:")
    with HostileRegistry() as registry:
        name = registry.add("a", "1", made)
        registry.misbehave(f"/v2/a/blobs/{digest_of(made.blobs[0])}", stop)
        command = ["docker", "-H", f"unix://{daemon.socket}", "pull", name]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as client:
            until(lambda: partial.exists() and partial.stat().st_size >= 2 << 20, "2 MiB are there")
            client.kill()
        until(lambda: stored(daemon.root) == [], "the end of what was unpacked meanwhile")
        daemon.pysup("pull", name, check=True)
        end.set()


def images_on_disk(daemon: Daemon) -> int:
    """Bytes, as `system df` counts them."""
    with contextlib.closing(Client(f"unix://{daemon.socket}")) as client:
        return int(client.get("/system/df")["LayersSize"])


def test_prune_removes_the_beginnings_of_blobs(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name, blob = registry.add("a", "1", image("pruned")), image("pruned").blobs[1]
        registry.misbehave(f"/v2/a/blobs/{digest_of(blob)}", breaks_off_after(10), hangs_up(), hangs_up())
        assert daemon.pysup("pull", name).returncode == 1
    assert f"partial/{digest_of(blob).removeprefix('sha256:')}" in everything(daemon)
    before = images_on_disk(daemon)
    assert before > 0
    assert "Total reclaimed space" in daemon.pysup("image", "prune", "-f", check=True).stdout
    assert images_on_disk(daemon) < before
    assert everything(daemon) == []
