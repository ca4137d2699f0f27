"""Health checks, on a real daemon: what is shown of them, and that they go on whatever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.daemon import Daemon
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
FAST = ["--health-interval", "50ms", "--health-retries", "2"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with Mortal(tmp_path_factory.mktemp("health")) as started:
        yield started


@pytest.fixture
def daemon(shared: Mortal) -> Iterator[Mortal]:
    """No container is left."""
    yield shared
    for name in shared.docker("ps", "-aq").stdout.split():
        shared.pysup("rm", "-f", name, check=True)


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


def test_a_probe_that_was_paused_with_its_container_says_nothing(daemon: Mortal, tmp_path: Path) -> None:
    """Frozen, it takes longer than it may; that is nobody's failure."""
    probe = f"echo begun >> {tmp_path}/probes; exec sleep 0.1"
    words = [
        "--health-cmd",
        probe,
        "--health-timeout",
        "300ms",
        "--health-interval",
        "20ms",
        "--health-retries",
        "1",
    ]
    start(daemon, "-v", f"{tmp_path}:{tmp_path}", *words, "host")
    until(lambda: status(daemon).endswith("(healthy)"), "a success")
    for _ in range(3):
        begun = (tmp_path / "probes").stat().st_size
        until(lambda size=begun: (tmp_path / "probes").stat().st_size > size, "the next probe")  # type: ignore[misc]
        daemon.pysup("pause", "one", check=True)
        end = time.monotonic() + 0.4
        until(lambda end=end: time.monotonic() > end, "more than it may take")  # type: ignore[misc]
        daemon.pysup("unpause", "one", check=True)
    begun = (tmp_path / "probes").stat().st_size
    until(lambda: (tmp_path / "probes").stat().st_size > begun + 12, "further probes")
    (own,) = daemon.docker("ps", "-q", "--no-trunc").stdout.split()
    told = rows(daemon.root, "SELECT action FROM event WHERE actor_id = ?", own)
    actions = [action for (action,) in told if action.startswith("health")]
    assert actions == ["health_status: healthy"]


@pytest.mark.parametrize(("how", "code"), [("stop", 0), ("kill", 137)])
def test_what_is_unhealthy_is_ended_and_its_policy_brings_it_back(
    daemon: Mortal, how: str, code: int
) -> None:
    """Once it has become so, not for each failure after that."""
    script = "trap 'exit 0' TERM; echo born; while :; do sleep 0.02; done"
    words = ["--restart", "on-failure:1", "--restart-delay", "0", "--health-cmd", "false"]
    words += ["--health-on-failure", how]
    body = ["host", "sh", "-c", script]
    daemon.pysup("run", "-d", "--name", how, "--network", "none", *words, *FAST, *body, check=True)
    until(lambda: daemon.docker("ps", "-q", "-f", "status=exited").stdout != "", "the end of the second run")
    history = "SELECT cause, ended_by, exit_code FROM history WHERE name = ? ORDER BY run"
    found = rows(daemon.root, history, how)
    assert found == [("manual", "unhealthy", code), ("policy", "unhealthy", code)]
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
