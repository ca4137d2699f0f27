"""Health checks, on a real daemon: what is shown of them, and that they go on whatever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers.daemon import CGROUPS, Daemon
from helpers.images import Image, busybox, oci_archive
from helpers.mortal import Mortal, until
from helpers.storage import rows

pytestmark = pytest.mark.kernel

PROJECT = """
version: "2.4"
services:
  db:
    image: host
    network_mode: none
    command: sh -c "sleep 0.3; touch /ready; exec sleep 1000"
    healthcheck: {test: [CMD, test, -e, /ready], interval: 50ms, retries: 100}
  web:
    image: host
    network_mode: none
    command: sleep 1000
    depends_on: {db: {condition: service_healthy}}
"""
PATIENCE = 2
"""Seconds that a slow probe may take: several times of what it needs on a busy machine."""
FAST = ["--health-interval", "50ms", "--health-retries", "2"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with Mortal(tmp_path_factory.mktemp("health")) as started:
        yield started


@pytest.fixture
def daemon(tidy: Mortal) -> Mortal:
    """One whose engine can be killed, as ``shared`` here is."""
    return tidy


def start(daemon: Daemon, *words: str) -> None:
    daemon.pysup("run", "-d", "--name", "one", "--network", "none", *words, "sleep", "1000", check=True)


def health(daemon: Daemon) -> Any:
    return json.loads(daemon.docker("inspect", "-f", "{{json .State.Health}}", "one").stdout)


def status(daemon: Daemon) -> str:
    return daemon.docker("ps", "--format", "{{.Status}}").stdout.strip()


def test_it_becomes_healthy_and_unhealthy_and_healthy_again(daemon: Mortal, tmp_path: Path) -> None:
    probe = f"echo looked; test -e {tmp_path}/ok"
    start(daemon, "-v", f"{tmp_path}:{tmp_path}", "--health-cmd", probe, *FAST, "host")
    assert status(daemon).endswith(("(health: starting)", "(unhealthy)"))
    until(lambda: health(daemon)["Status"] == "unhealthy", "two failures")
    assert status(daemon).endswith("(unhealthy)")
    (tmp_path / "ok").touch()
    until(lambda: status(daemon).endswith("(healthy)"), "a success")
    found = health(daemon)
    assert (found["FailingStreak"], found["Log"][-1]["ExitCode"], found["Log"][-1]["Output"]) == (
        0,
        0,
        "looked\n",
    )
    assert daemon.docker("ps", "-q", "-f", "health=healthy").stdout
    assert not daemon.docker("ps", "-q", "-f", "health=unhealthy").stdout
    told = rows(daemon.root, "SELECT action FROM event WHERE action LIKE 'health%' ORDER BY id")
    assert told == [("health_status: unhealthy",), ("health_status: healthy",)]


def test_it_goes_on_after_the_engine_was_killed(daemon: Mortal, tmp_path: Path) -> None:
    mount = ["-v", f"{tmp_path}:{tmp_path}"]
    start(daemon, *mount, "--health-cmd", f"echo x >> {tmp_path}/probes; true", *FAST, "host")
    until(lambda: status(daemon).endswith("(healthy)"), "a success")
    daemon.kill("engine")
    daemon.wait_until_it_serves()
    assert status(daemon).endswith("(healthy)")
    seen = (tmp_path / "probes").stat().st_size
    until(lambda: (tmp_path / "probes").stat().st_size > seen, "another probe")
    daemon.pysup("stop", "-t", "0", "one", check=True)
    assert health(daemon)["Status"] == "healthy", "what was found last"
    daemon.pysup("start", "one", check=True)


def test_a_probe_that_takes_too_long_is_ended(daemon: Mortal) -> None:
    start(daemon, "--health-cmd", "echo begun; exec sleep 1000", "--health-timeout", "100ms", *FAST, "host")
    until(lambda: health(daemon)["Status"] == "unhealthy", "two failures")
    last = health(daemon)["Log"][-1]
    assert last["ExitCode"] == -1
    assert last["Output"].startswith("Health check exceeded timeout (100ms)")
    daemon.pysup("pause", "one", check=True)
    assert daemon.pysup("top", "one").stdout.count("sleep 1000") <= 2


def test_what_cannot_be_executed_and_what_never_ends_to_write(daemon: Mortal) -> None:
    body = {"Test": ["CMD", "/no/such/program"], "Interval": 50_000_000, "Retries": 1}
    with contextlib.closing(daemon.client()) as client:
        image = {"Image": "host", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
        made = client.post("/containers/create", {**image, "Healthcheck": body}, query={"name": "one"})["Id"]
        client.post(f"/containers/{made}/start")
        until(lambda: health(daemon)["Status"] == "unhealthy", "a failure")
        assert "no such file or directory" in health(daemon)["Log"][-1]["Output"]
        client.delete(f"/containers/{made}", query={"force": "1"})
    start(daemon, "--health-cmd", "head -c 100000 /dev/zero | tr '\\0' x", *FAST, "host")
    until(lambda: status(daemon).endswith("(healthy)"), "a success")
    assert health(daemon)["Log"][0]["Output"] == "x" * 4096


def probed_slowly(daemon: Mortal, tmp_path: Path, image: str) -> Path:
    """A healthy container; the file grows when a probe begins, each of which lasts for some time."""
    begun = tmp_path / "probes"
    words = ["--health-timeout", f"{PATIENCE}s", "--health-interval", "20ms", "--health-retries", "1"]
    words += ["--health-cmd", f"echo begun >> {begun}; exec sleep 0.5", "-v", f"{tmp_path}:{tmp_path}"]
    start(daemon, *words, image)
    until(lambda: status(daemon).endswith("(healthy)"), "a success")
    return begun


def another(begun: Path, count: int = 1) -> None:
    """Wait until further probes have begun."""
    enough = begun.stat().st_size + count * len("begun\n")
    until(lambda: begun.stat().st_size >= enough, "further probes")


def wait_longer_than_a_probe_may_take() -> None:
    end = time.monotonic() + PATIENCE + 0.1
    until(lambda: time.monotonic() > end, "more than it may take")


def words_of_health(daemon: Mortal) -> list[str]:
    (own,) = daemon.docker("ps", "-q", "--no-trunc").stdout.split()
    told = rows(daemon.root, "SELECT action FROM event WHERE actor_id = ? AND action LIKE 'health%'", own)
    return [action for (action,) in told]


def test_a_probe_that_was_paused_with_its_container_says_nothing(daemon: Mortal, tmp_path: Path) -> None:
    """Frozen, it takes longer than it may; that is nobody's failure."""
    begun = probed_slowly(daemon, tmp_path, "host")
    another(begun)
    daemon.pysup("pause", "one", check=True)
    wait_longer_than_a_probe_may_take()
    daemon.pysup("unpause", "one", check=True)
    another(begun, 2)
    assert words_of_health(daemon) == ["health_status: healthy"]


def is_frozen(daemon: Mortal) -> bool:
    """In either version of cgroups (freezer-subsystem.rst, cgroup-v2.rst)."""
    states = [*CGROUPS.glob(f"freezer/{daemon.cgroup}/*/freezer.state")]
    events = [*CGROUPS.glob(f"{daemon.cgroup}/*/cgroup.events")]
    return any("FROZEN" in path.read_text() for path in states) or any(
        "frozen 1" in path.read_text() for path in events
    )


def test_a_probe_that_stood_still_with_a_commit_says_nothing(daemon: Mortal, tmp_path: Path) -> None:
    """A container stands still while its files are committed; this commit takes longer than a probe may."""
    image = oci_archive(Image([busybox()], {"Env": ["PATH=/bin"]}, ["base:1"]))
    daemon.pysup("load", stdin=image, check=True)
    begun = probed_slowly(daemon, tmp_path, "base:1")
    fill = "for i in $(seq 2000); do echo $i > /file$i; done"
    daemon.pysup("exec", "one", "sh", "-c", fill, check=True)
    with contextlib.closing(daemon.client()) as client, ThreadPoolExecutor(1) as pool:
        another(begun)
        committing = pool.submit(client.post, "/commit", {}, query={"container": "one", "repo": "made"})
        while not is_frozen(daemon):
            assert not committing.done(), "nobody saw it frozen"
        engine = daemon.engine_pid
        os.kill(engine, signal.SIGSTOP)
        wait_longer_than_a_probe_may_take()
        os.kill(engine, signal.SIGCONT)
        committing.result()
    another(begun, 2)
    assert words_of_health(daemon) == ["health_status: healthy"]
    daemon.pysup("rm", "-f", "one", check=True)
    daemon.pysup("rmi", "made", "base:1", check=True)


@pytest.mark.parametrize(
    ("how", "code", "number"), [("stop", 0, signal.SIGTERM), ("kill", 137, signal.SIGKILL)]
)
def test_what_is_unhealthy_is_ended_and_its_policy_brings_it_back(
    daemon: Mortal, how: str, code: int, number: int
) -> None:
    """Once it has become so, not for each failure after that. What is killed is not asked before."""
    script = "trap 'exit 0' TERM; echo born; touch /dev/shm/born; while :; do sleep 0.02; done"
    words = ["--restart", "on-failure:1", "--restart-delay", "0", "--health-cmd", "test ! -e /dev/shm/born"]
    words += ["--health-on-failure", how]
    body = ["host", "sh", "-c", script]
    daemon.pysup("run", "-d", "--name", how, "--network", "none", *words, *FAST, *body, check=True)
    until(lambda: daemon.docker("ps", "-q", "-f", "status=exited").stdout != "", "the end of the second run")
    history = "SELECT cause, ended_by, exit_code FROM history WHERE name = ? ORDER BY run"
    found = rows(daemon.root, history, how)
    assert found == [("manual", "unhealthy", code), ("policy", "unhealthy", code)]
    ends = "FROM event JOIN container ON actor_id = container.id WHERE name = ? AND action = 'kill'"
    assert rows(daemon.root, f"SELECT attributes ->> 'signal' {ends}", how) == [(str(int(number)),)] * 2
    assert daemon.pysup("logs", how, check=True).stdout == "born\nborn\n"
    assert "unhealthy" in daemon.pysup("history", how, check=True).stdout
    assert rows(daemon.root, "SELECT count(*) FROM failures WHERE name = ?", how) == [(2,)]


def test_compose_waits_until_a_service_is_healthy(daemon: Mortal, tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(PROJECT)
    environment = {**os.environ, "DOCKER_HOST": f"unix://{daemon.socket}", "COMPOSE_PROJECT_NAME": "health"}
    words = ["docker-compose", "up", "-d"]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True)
    healthy = daemon.docker("ps", "--format", "{{.Names}}", "-f", "health=healthy").stdout
    assert healthy == "health_db_1\n"
    told = "SELECT name, action FROM event JOIN container c ON c.id = actor_id ORDER BY event.id"
    found = [f"{name.split('_')[1]} {action}" for name, action in rows(daemon.root, told) if "_" in name]
    assert found.index("db start") < found.index("db health_status: healthy") < found.index("web start")


def test_an_image_says_how(daemon: Mortal) -> None:
    config = {
        "Cmd": ["sleep", "1000"],
        "Env": ["PATH=/bin"],
        "Healthcheck": {"Test": ["CMD-SHELL", "echo of the image"], "Interval": 50_000_000},
    }
    daemon.pysup("load", stdin=oci_archive(Image([busybox()], config, ["checked:1"])), check=True)
    start(daemon, "checked:1")
    until(lambda: status(daemon).endswith("(healthy)"), "a success")
    assert health(daemon)["Log"][0]["Output"] == "of the image\n"
    daemon.pysup("rm", "-f", "one", check=True)
    start(daemon, "--no-healthcheck", "checked:1")
    assert health(daemon) is None and "health" not in status(daemon)
    daemon.pysup("rm", "-f", "one", check=True)
    refused = daemon.pysup("run", "--no-healthcheck", "--health-cmd", "true", "host", "true")
    assert refused.returncode == 125 and "conflicts with --health-*" in refused.stderr
    daemon.pysup("rmi", "checked:1", check=True)
