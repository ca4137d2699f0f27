"""push: to docker-registry, checked by skopeo, by the docker command line, docker-py and ours; and to a hostile one."""

from __future__ import annotations

import contextlib
import json
import lzma
import os
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import docker
import pytest
from helpers.daemon import Daemon
from helpers.hostile_registry import (
    Content,
    Handler,
    HostileRegistry,
    Misdeed,
    answers,
    answers_nobody,
    forgets_uploads,
    gives,
    hangs_up,
    mounts_nothing,
    takes,
)
from helpers.image_store import everything, forget_images
from helpers.images import Image, busybox, layer, oci_archive
from helpers.registries import Registry, skopeo

from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import DOCKER_MANIFEST, OCI_LAYER, OCI_MANIFEST

pytestmark = pytest.mark.kernel

BASE = busybox()
WITHIN = 60.0
"""Seconds for what a test waits for."""


def image(text: str = "hello", *names: str) -> Image:
    return Image([BASE, layer(("file", {}, text.encode()))], {"Cmd": ["cat", "/file"]}, names)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("pushing"), "--max-download-attempts", "2") as started:
        yield started


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """A daemon whose images are gone after the test, and everything with them."""
    yield shared
    forget_images(shared)


def loaded(daemon: Daemon, name: str, made: Image) -> str:
    """Have an image under a name; the name."""
    daemon.pysup("load", stdin=oci_archive(Image(made.layers, made.config, [name])), check=True)
    return name


def test_docker_pushes_and_skopeo_finds_it(daemon: Daemon, registry: Registry) -> None:
    made = image()
    name = loaded(daemon, f"{registry.host}/some/app:1", made)
    pushed = daemon.docker("push", name)
    digest = digest_of(made.manifest)
    assert (pushed.returncode, pushed.stderr) == (0, "")
    first, *between, last = pushed.stdout.splitlines()
    assert first == f"The push refers to repository [{registry.host}/some/app]"
    shorts = [digest_of(one)[7:19] for one in made.layers]
    assert sorted(between) == sorted(
        f"{short}: {word}" for short in shorts for word in ("Preparing", "Pushed")
    )
    assert last == f"1: digest: {digest} size: {len(made.manifest)}"
    assert registry.inspect("some/app:1")["Digest"] == digest
    again = daemon.docker("push", name).stdout
    assert again.count(": Layer already exists\n") == len(shorts) and last in again
    (inspected,) = json.loads(daemon.docker("inspect", name).stdout)
    assert inspected["RepoDigests"] == [f"{registry.host}/some/app@{digest}"]
    daemon.docker("rmi", name)
    assert daemon.docker("run", "--rm", name).stdout == "hello", "it comes back by a pull"


@pytest.mark.parametrize(("form", "kind"), [("v2s2", DOCKER_MANIFEST), ("oci", OCI_MANIFEST)])
def test_manifests_go_as_they_came(daemon: Daemon, registry: Registry, form: str, kind: str) -> None:
    name = registry.seed(f"came/{form}:1", image(), options=["--format", form])
    target = f"{registry.host}/went/{form}:2"
    daemon.pysup("pull", "-q", name, check=True)
    daemon.pysup("tag", name, target, check=True)
    told = daemon.pysup("push", target, check=True).stdout
    assert told.count(f": Mounted from came/{form}\n") == len(image().layers)
    raw = [skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{one}") for one in (name, target)]
    assert raw[0] == raw[1] and json.loads(raw[0])["mediaType"] == kind


@pytest.mark.parametrize("compress", [bytes, partial(lzma.compress, preset=0)], ids=["plain", "xz"])
def test_what_is_not_compressed_is_pushed_gzipped(daemon: Daemon, registry: Registry, compress: Any) -> None:
    name = f"{registry.host}/imported/{len(compress(b''))}:1"
    daemon.pysup("import", "-c", "CMD id -u", "-", name, stdin=compress(BASE), check=True)
    told = [daemon.pysup("push", name, check=True).stdout.splitlines() for _ in range(2)]
    assert told[0][-1] == told[1][-1], "the same content is compressed to the same bytes"
    manifest = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}"))
    assert [one["mediaType"] for one in manifest["layers"]] == [f"{OCI_LAYER}+gzip"]
    assert manifest["layers"][0]["size"] < len(BASE)
    before = daemon.inspect(name)["Id"]
    daemon.pysup("rmi", name, check=True)
    assert everything(daemon) == []
    assert daemon.pysup("run", "--rm", name, check=True).stdout == "0\n"
    assert daemon.inspect(name)["Id"] == before


def test_all_tags_go_and_come(daemon: Daemon, registry: Registry) -> None:
    repository = f"{registry.host}/all/tags"
    names = [loaded(daemon, f"{repository}:{tag}", image(tag)) for tag in ("one", "two")]
    pushed = daemon.docker("push", "--all-tags", repository)
    assert pushed.returncode == 0 and registry.inspect("all/tags:one")["RepoTags"] == ["one", "two"]
    daemon.pysup("rmi", *names, check=True)
    pulled = daemon.docker("pull", "--all-tags", repository)
    assert pulled.stdout.splitlines()[-2:] == [
        f"Status: Downloaded newer image for {repository}",
        repository,
    ]
    assert daemon.pysup("run", "--rm", names[1], check=True).stdout == "two"
    daemon.pysup("rmi", *names, check=True)
    assert daemon.pysup("pull", "-a", repository, check=True).stdout.count("Digest: ") == 2
    assert daemon.pysup("push", "-a", f"{repository}:one").stderr.startswith("pysup: cannot push: tag can't")


def test_docker_py_pushes(daemon: Daemon, registry: Registry) -> None:
    made, repository = image("sdk"), f"{registry.host}/by/sdk"
    loaded(daemon, f"{repository}:latest", made)
    client = docker.DockerClient(base_url=f"unix://{daemon.socket}")
    with contextlib.closing(client):
        lines = list(client.images.push(repository, "latest", stream=True, decode=True))
        assert lines[0] == {"status": f"The push refers to repository [{repository}]"}
        aux = {"Tag": "latest", "Digest": digest_of(made.manifest), "Size": len(made.manifest)}
        assert lines[-1] == {"progressDetail": {}, "aux": aux}
        assert all(line["progressDetail"] is not None for line in lines if "id" in line)
        data = client.images.get_registry_data(f"{repository}:latest")
        assert data.id == aux["Digest"] and data.has_platform("linux/amd64")
        assert not data.has_platform("linux/s390x")
        client.images.remove(f"{repository}:latest")
        assert data.pull().id == made.id


def test_what_cannot_be_pushed(daemon: Daemon, registry: Registry) -> None:
    made = image()
    name = loaded(daemon, f"{registry.host}/no:1", made)
    for words, cause in (
        (["nosuch"], "An image does not exist locally with the tag: nosuch:latest"),
        (["-a", "nosuch"], "An image does not exist locally with the name: nosuch"),
        (["host"], "it is the machine's own root"),
        (["--platform", "linux/s390x", name], "it is for linux/amd64, not linux/s390x"),
        ([f"{registry.host}/no@{digest_of(made.manifest)}"], "a digest cannot be pushed"),
        (["NO"], "repository name must be lowercase"),
    ):
        refused = daemon.pysup("push", *words)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert cause in refused.stderr and refused.stderr.count("\n") == 1
    by_docker = daemon.docker("push", "nosuch")
    assert by_docker.returncode == 1 and "does not exist locally" in by_docker.stderr


# -- registries that misbehave -------------------------------------------------------------------------------

BIG = Image([layer(("file", {}, random.Random(1).randbytes(9 << 20)))], compressed=True)
UPLOAD = "/v2/a/blobs/uploads/0"


def test_an_upload_goes_on_where_it_broke_off(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name, blob = loaded(daemon, f"{registry.host}/a:1", BIG), BIG.blobs[0]
        registry.misbehave(f"PUT {UPLOAD}", takes(5 << 20))
        registry.misbehave(f"PATCH {UPLOAD}", takes(1 << 20))
        daemon.pysup("push", name, check=True)
        assert registry.methods(UPLOAD) == ["PUT", "GET", "PATCH", "GET", "PATCH", "PUT"]
        ranges = [one.headers["Content-Range"] for one in registry.asked if one.method == "PATCH"]
        assert ranges == [f"{begin << 20}-{len(blob) - 1}" for begin in (5, 6)]
        assert registry.content[f"/v2/a/blobs/{digest_of(blob)}"].body == blob


def test_an_upload_that_is_lost_begins_anew(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name = loaded(daemon, f"{registry.host}/a:1", BIG)
        registry.misbehave(f"PUT {UPLOAD}", forgets_uploads())
        daemon.pysup("push", name, check=True)
        assert [one.method for one in registry.asked if one.path == UPLOAD] == ["GET"]
        assert registry.content[f"/v2/a/blobs/{digest_of(BIG.blobs[0])}"].body == BIG.blobs[0]


def test_an_answer_that_is_lost_costs_no_second_upload(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name = loaded(daemon, f"{registry.host}/a:1", BIG)
        registry.misbehave(f"PUT {UPLOAD}", answers_nobody())
        registry.misbehave("PUT /v2/a/manifests/1", answers_nobody())
        daemon.pysup("push", name, check=True)
        assert registry.methods("/v2/a/blobs/uploads/0") == ["PUT"]
        assert registry.methods(f"/v2/a/blobs/{digest_of(BIG.blobs[0])}") == ["HEAD", "HEAD"]


def test_what_is_too_much_at_once_goes_in_parts(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        name, blob = loaded(daemon, f"{registry.host}/a:1", BIG), BIG.blobs[0]
        registry.misbehave(f"PUT {UPLOAD}", answers(413))
        daemon.pysup("push", name, check=True)
        ranges = [one.headers["Content-Range"] for one in registry.asked if one.method == "PATCH"]
        assert ranges == [f"0-{(8 << 20) - 1}", f"{8 << 20}-{len(blob) - 1}"]
        assert registry.content[f"/v2/a/blobs/{digest_of(blob)}"].body == blob


def test_what_passes_is_tried_again(daemon: Daemon) -> None:
    with HostileRegistry() as registry:
        made = image()
        name = loaded(daemon, f"{registry.host}/a:1", made)
        registry.misbehave(f"HEAD /v2/a/blobs/{digest_of(made.blobs[0])}", hangs_up())
        registry.misbehave("POST /v2/a/blobs/uploads/", answers(503))
        registry.misbehave("PUT /v2/a/manifests/1", answers(429, Retry_After="0"))
        daemon.pysup("push", name, check=True)
        assert registry.content["/v2/a/manifests/1"].body == made.manifest


def test_a_mount_that_is_refused_is_an_upload(daemon: Daemon) -> None:
    made = Image([layer(("file", {}, b"mounted"))])
    with HostileRegistry() as registry:
        name = registry.add("a", "1", made)
        daemon.pysup("pull", "-q", name, check=True)
        for target, misdeed in (("b", answers(403)), ("c", mounts_nothing("/v2/c/blobs/uploads/given"))):
            daemon.pysup("tag", name, f"{registry.host}/{target}:1", check=True)
            registry.misbehave(f"POST /v2/{target}/blobs/uploads/", *[misdeed] * (1 if target == "b" else 2))
            told = daemon.pysup("push", f"{registry.host}/{target}:1", check=True).stdout
            assert f"{digest_of(made.layers[0])[7:19]}: Pushed\n" in told
            assert registry.content[f"/v2/{target}/blobs/{digest_of(made.blobs[0])}"].body == made.blobs[0]
        assert registry.methods("/v2/c/blobs/uploads/given") == ["DELETE", "DELETE"], "from a, and from b"


@pytest.mark.parametrize(
    ("path", "misdeed", "cause"),
    [
        ("POST /v2/a/blobs/uploads/", answers(401), "authentication required"),
        ("POST /v2/a/blobs/uploads/", answers(403), "access denied"),
        ("POST /v2/a/blobs/uploads/", answers(404), "not found"),
        ("POST /v2/a/blobs/uploads/", answers(429, Retry_After="3600"), "too many requests"),
        ("POST /v2/a/blobs/uploads/", answers(202), "it names no place"),
        ("POST /v2/a/blobs/uploads/", answers(202, Location="file:///etc/passwd"), "it names no place"),
        (f"PUT {UPLOAD}", answers(400), "the registry answered 400"),
        ("PUT /v2/a/manifests/1", answers(405), "the registry answered 405"),
        (
            "PUT /v2/a/manifests/1",
            gives(b"", status=201, Docker_Content_Digest="sha256:\x1b0"),
            "the registry has sha256: 0 of it instead of",
        ),
    ],
)
def test_refusals_are_one_clear_line(daemon: Daemon, path: str, misdeed: Misdeed, cause: str) -> None:
    made = Image([layer(("file", {}, b"one"))])
    with HostileRegistry() as registry:
        name = loaded(daemon, f"{registry.host}/a:1", made)
        registry.misbehave(path, misdeed)
        refused = daemon.pysup("push", name)
        assert refused.returncode == 1 and cause in refused.stderr and refused.stderr.count("\n") == 1
        assert refused.stderr.startswith("pysup: cannot ") and "\x1b" not in refused.stderr
        assert daemon.inspect(name)["RepoDigests"] == []


def test_a_push_goes_on_after_the_engine_was_killed(daemon: Daemon) -> None:
    reached, never = threading.Event(), threading.Event()

    def stop(handler: Handler, _content: Content) -> None:
        handler.take(100_000)
        reached.set()
        never.wait(WITHIN)

    with HostileRegistry() as registry, ThreadPoolExecutor(1) as pool:
        name = f"{registry.host}/a:1"
        daemon.pysup("import", "-", name, stdin=BASE, check=True)
        before = everything(daemon)
        registry.misbehave(f"PUT {UPLOAD}", stop)
        pushing = pool.submit(daemon.pysup, "push", name)
        assert reached.wait(WITHIN)
        os.kill(daemon.engine_pid, signal.SIGKILL)
        never.set()
        pushing.result().check_returncode()
        assert json.loads(registry.content["/v2/a/manifests/1"].body)["schemaVersion"] == 2
        assert everything(daemon) == before
