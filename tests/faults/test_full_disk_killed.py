"""An engine that is killed while there is no room for a commit: the next one serves, and goes on once there is."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.mortal import Mortal, until

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError

pytestmark = pytest.mark.kernel

ROOM = "48m"
"""Enough for the log of the store to have room of its own (store/reserve.py)."""


class Small(Mortal):
    """Its root is a small disk, in its own mount namespace."""

    def command(self, *arguments: str) -> list[str]:
        words = super().command(*arguments)
        if arguments[:1] != ("daemon",):
            return words
        mount = f"mkdir -p {self.root}; mount -t tmpfs -o mode=700,size={ROOM} small {self.root}"
        return ["sh", "-ec", f'{mount}; exec "$@"', "sh", *words]

    @property
    def keeper(self) -> int:
        """It is never killed here, and its lock file cannot be seen from outside."""
        return self.pid

    def inside(self, script: str) -> None:
        command = ["nsenter", f"--target={self.pid}", "--mount", "sh", "-c", script]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Small]:
    with Small(tmp_path) as started:
        yield started


def fill(daemon: Small, client: Client) -> None:
    """The disk, and then what the log has of its own: each exec that is created takes some of it."""
    daemon.inside(f"head -c 1G /dev/zero > {daemon.root}/fill; true")
    with pytest.raises(PysupError, match="disk is full"):
        _create_execs(client, 10_000)


def _create_execs(client: Client, count: int) -> None:
    for _ in range(count):
        client.post("/containers/box/exec", {"Cmd": ["true"]})


def test_the_next_engine_serves_without_a_commit(daemon: Small) -> None:
    daemon.pysup("run", "-d", "--network", "none", "--name", "box", "host", "sleep", "1000", check=True)
    with contextlib.closing(daemon.client()) as client:
        fill(daemon, client)
    daemon.kill("engine")
    daemon.wait_until_it_serves()
    with contextlib.closing(daemon.client()) as client:
        assert client.get("/containers/box/json")["State"]["Running"]
        daemon.inside(f"rm {daemon.root}/fill")
        client.post("/containers/box/kill")
    assert daemon.pysup("wait", "box", check=True).stdout == "137\n"
    daemon.pysup("rm", "box", check=True)


def test_a_log_that_could_not_be_begun_is_begun_by_the_next_engine(daemon: Small) -> None:
    speak = "trap 'echo hello' USR1; while :; do sleep 0.1; done"
    daemon.pysup("run", "-d", "--network", "none", "--name", "box", "host", "sh", "-c", speak, check=True)
    daemon.inside(f"head -c 1G /dev/zero > {daemon.root}/fill; true")
    daemon.pysup("kill", "-s", "USR1", "box", check=True)
    until(
        lambda: "cannot write the log of container box" in daemon.log.read_text(), "a report of the full disk"
    )
    daemon.kill("engine")
    daemon.wait_until_it_serves()
    assert daemon.inspect("box")["State"]["Running"]
    daemon.inside(f"rm {daemon.root}/fill")
    until(lambda: daemon.pysup("logs", "box").stdout == "hello\n", "the line")
    daemon.pysup("rm", "-f", "box", check=True)
