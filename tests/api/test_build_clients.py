"""Builds by those who drive them: pysup build, docker's command line, docker-py, docker-compose 1.29."""

from __future__ import annotations

import io
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from helpers.contexts import Told, build, built, context, of_image
from helpers.daemon import Daemon
from helpers.images import Image, busybox, docker_archive
from helpers.mortal import until
from helpers.registries import Registry

pytestmark = [
    pytest.mark.kernel,
    # docker-py leaves the sockets of finished streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BASE = Image([busybox()], {"Env": ["PATH=/bin"], "Cmd": ["sh"]}, ["base:1"])
COMPOSE = """version: "3.4"
services:
  web:
    build: {context: ., dockerfile: Dockerfile, args: {X: "5"}, target: last, labels: {a: b}}
    image: composed:1
    network_mode: none
    command: cat /x
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("clients")) as started:
        started.pysup("load", stdin=docker_archive(BASE), check=True)
        yield started


@pytest.fixture
def project(tmp_path: Path) -> Path:
    steps = "FROM base:1 AS first\nARG X=1\nRUN echo $X > /x\nFROM first AS last\nCOPY . /c/\n"
    (tmp_path / "Dockerfile").write_text(steps)
    (tmp_path / ".dockerignore").write_text("*.tmp\n.dockerignore\n")
    (tmp_path / "f").write_text("file")
    (tmp_path / "g.tmp").write_text("left out")
    return tmp_path


def test_pysup_build(daemon: Daemon, project: Path) -> None:
    iid = project / "id.tmp"
    words = ["--build-arg", "X=7", "--label", "l=m", "-t", "mine:1", "-t", "mine:2", "--iidfile", str(iid)]
    told = daemon.pysup(
        "build", *words, "--compress", "--memory", "64m", "--network", "none", str(project), check=True
    )
    assert told.stdout.startswith("Sending build context to the daemon  ")
    assert "\nStep 3/6 : RUN echo $X > /x\n" in told.stdout
    assert told.stdout.endswith("Successfully tagged mine:1\nSuccessfully tagged mine:2\n")
    assert (
        iid.read_text()
        == daemon.pysup("image", "inspect", "-f", "{{.Id}}", "mine:1", check=True).stdout.strip()
    )
    assert of_image(daemon, "mine:2", "cat /x; ls -A /c") == "7\nDockerfile\nf\n"
    quiet = daemon.pysup("build", "-q", *words, str(project), check=True)
    assert quiet.stdout.strip() == iid.read_text()
    failed = daemon.pysup("build", "-q", "--force-rm", "-", stdin=b"FROM base:1\nRUN echo seen; exit 9")
    assert (failed.returncode, failed.stdout) == (9, "")
    assert "\nseen\n" in failed.stderr
    failed = daemon.pysup("build", "--force-rm", "-f", "-", str(project), stdin=b"FROM base:1\nRUN exit 9")
    assert (failed.returncode, failed.stderr) == (
        9, "pysup: The command '/bin/sh -c exit 9' returned a non-zero code: 9\n",
    )  # fmt: skip


def test_pysup_builds_what_comes_by_standard_input(daemon: Daemon, project: Path) -> None:
    typed = daemon.pysup(
        "build", "-q", "-f", "-", str(project), stdin=b"FROM base:1\nCOPY . /s/\n", check=True
    )
    assert of_image(daemon, typed.stdout.strip(), "ls -A /s") == "Dockerfile\nf\n"
    assert daemon.pysup("build", "-q", "-", stdin=b"FROM base:1\nENV only=1", check=True).stdout.startswith(
        "sha256:"
    )
    archive = context("FROM base:1\nCOPY f /f", ("f", "of the archive"))
    packed = daemon.pysup("build", "-q", "-", stdin=archive, check=True)
    assert of_image(daemon, packed.stdout.strip(), "cat /f") == "of the archive"
    for words, cause in (
        (["https://example.com/x.git"], "clone or download it yourself"),
        (["-f", "-", "-"], "both the context and the Dockerfile"),
        (["--squash", "."], "layers are what the cache"),
        (["--secret", "id=x", "."], "it is BuildKit's"),
        (["/nonexistent"], "not found, or no directory"),
    ):
        assert cause in daemon.pysup("build", *words, stdin=b"FROM base:1").stderr


def docker_build(daemon: Daemon, *words: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(
        ["docker", "-H", f"unix://{daemon.socket}", "build", *words],
        input=stdin, capture_output=True, check=False, env={**os.environ, "DOCKER_BUILDKIT": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_docker_build(daemon: Daemon, project: Path) -> None:
    out = docker_build(daemon, "-t", "docked:1", "--build-arg", "X=8", "--target", "last", str(project))
    assert out.endswith("Successfully tagged docked:1\n")
    assert of_image(daemon, "docked:1", "cat /x; ls -A /c") == "8\nDockerfile\nf\n"
    assert docker_build(daemon, "-q", "-f", "-", str(project), stdin=b"FROM base:1\nCOPY f /").startswith(
        "sha256:"
    )
    elsewhere = project.parent / "Elsewhere"
    elsewhere.write_text("FROM base:1\nCOPY . /e/\n")
    docker_build(daemon, "-t", "docked:2", "-f", str(elsewhere), str(project))
    assert of_image(daemon, "docked:2", "ls -A /e") == "Dockerfile\nf\n"
    unset = {name: value for name, value in os.environ.items() if name != "DOCKER_BUILDKIT"}
    words = ["docker", "-H", f"unix://{daemon.socket}", "build", "-q", str(project)]
    done = subprocess.run(words, capture_output=True, check=False, env=unset)
    assert done.returncode == 0, "/_ping says that the classic builder is the one"


def test_docker_py_builds(daemon: Daemon, project: Path) -> None:
    client = docker.DockerClient(base_url=f"unix://{daemon.socket}", version="auto")
    image, lines = client.images.build(path=str(project), tag="py:1", buildargs={"X": "9"}, rm=True)
    assert image.tags == ["py:1"] and any("Successfully tagged" in line.get("stream", "") for line in lines)
    assert of_image(daemon, "py:1", "cat /x") == "9\n"
    with pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 4"):
        client.images.build(fileobj=io.BytesIO(b"FROM base:1\nRUN exit 4"), rm=True, forcerm=True)
    with pytest.raises(docker.errors.APIError, match="unknown instruction"):
        client.images.build(fileobj=io.BytesIO(b"NOPE"))
    client.close()


def test_compose_builds(daemon: Daemon, project: Path) -> None:
    (project / "docker-compose.yml").write_text(COMPOSE)
    environment = {**os.environ, "DOCKER_HOST": f"unix://{daemon.socket}", "COMPOSE_DOCKER_CLI_BUILD": "0"}
    for words in (["build"], ["up", "--no-color"], ["down"]):
        done = subprocess.run(
            ["docker-compose", *words],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        if words[0] == "up":
            assert "| 5" in done.stdout
    inspected = daemon.pysup("image", "inspect", "composed:1", check=True).stdout
    assert json.loads(inspected)[0]["Config"]["Labels"] == {"a": "b"}


def test_base_images_come_from_registries(daemon: Daemon, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/base:1"
        registry.seed("team/base:1", BASE)
        steps = f"FROM {name} AS one\nFROM base:1\nCOPY --from={name} /bin/cat /from/\n"
        told = built(daemon, context(steps), t="pulled:1")
        assert told.cached == 0 and any("Pull" in line.get("status", "") for line in told.lines)
        assert not any("status" in line for line in built(daemon, context(steps)).lines), "it is there now"
        again = built(daemon, context(f"FROM {name}\nENV a=b"), pull=1)
        assert any(line.get("status", "").startswith("Digest: ") for line in again.lines)
        missing = build(daemon, context(f"FROM {registry.host}/nope:1"))
        assert missing.error.startswith(f"cannot pull {registry.host}/nope:1: ")


def test_a_daemon_that_is_stopped_ends_builds_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    told: list[Told] = []
    with Daemon(tmp_path, apart=True) as daemon:
        daemon.pysup("load", stdin=docker_archive(BASE), check=True)
        archive = context("FROM base:1\nRUN sleep 1000\n")
        client = threading.Thread(target=lambda: told.append(build(daemon, archive)))
        client.start()
        until(lambda: daemon.docker("ps", "-q").stdout != "", "the command to run")
        assert daemon.stop() == 0
        client.join()
        daemon.start()
        assert daemon.docker("ps", "-aq").stdout == ""
    assert told[0].error == "cannot build: the daemon is stopping"
