"""docker-compose 1.29 (Debian's) brings a project of two services up, scales it, restarts it, and takes it down."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.compose_project import PROJECT, served
from helpers.daemon import Daemon
from helpers.mortal import until
from helpers.network_use import clear_networks, ok

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon
        clear_networks(daemon)


class Compose:
    """The command in a project's directory."""

    def __init__(self, daemon: Daemon, directory: Path) -> None:
        self._directory = directory
        self._environment = {**os.environ, "DOCKER_HOST": f"unix://{daemon.socket}", "COMPOSE_ANSI": "never"}
        self._environment["COMPOSE_PROJECT_NAME"] = "shop"

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            ["docker-compose", *words],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def compose(shared: Daemon, tmp_path: Path) -> Compose:
    (tmp_path / "docker-compose.yml").write_text(PROJECT)
    return Compose(shared, tmp_path)


def test_a_project_comes_up_is_scaled_restarted_and_goes(shared: Daemon, compose: Compose) -> None:
    compose("up", "-d")
    ports = ok(shared, "port", "shop_web_1", "80")
    until(
        lambda: served(int(ports.rpartition(":")[2])) == b"kept\n",
        "the answer of web, which asks db by its name",
    )
    compose("up", "-d", "--scale", "web=3")
    numbers = sorted(
        int(compose("port", "--index", str(index), "web", "80").rpartition(":")[2]) for index in (1, 2, 3)
    )
    assert len(set(numbers)) == 3 and set(numbers) <= set(range(18110, 18120))
    for number in numbers:
        until(lambda number=number: served(number) == b"kept\n", "an answer of each")
    compose("restart", "-t", "0")
    until(lambda: served(numbers[0]) == b"kept\n", "an answer after the restart")
    look = "import urllib.request as u; print(u.urlopen('http://db:5432/').read().decode(), end='')"
    assert compose("run", "--rm", "web", "python3", "-c", look) == "kept\n"
    found = compose("exec", "-T", "db", "getent", "ahostsv4", "web").splitlines()
    assert len({line.split()[0] for line in found}) == 3  # the service's name is that of all its containers
    assert compose("ps", "-q").count("\n") == 4
    compose("down", "-v", "-t", "0")
    assert ok(shared, "ps", "-aq") == ok(shared, "volume", "ls", "-q") == ""
    assert ok(shared, "network", "ls", "-q", "--filter", "type=custom") == ""
