"""Images, volumes and containers on disks of their own, below one root: nothing can be renamed from one to another."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.images import Image, busybox, docker_archive
from helpers.mortal import Mortal, until

pytestmark = pytest.mark.kernel

KINDS = ("images", "volumes", "containers")


class Disks(Mortal):
    """Each is a tmpfs, in its own mount namespace."""

    def command(self, *arguments: str) -> list[str]:
        words = super().command(*arguments)
        if arguments[:1] != ("daemon",):
            return words
        mounts = [f"mkdir -p {self.root}/{kind}; mount -t tmpfs {kind} {self.root}/{kind}" for kind in KINDS]
        return ["sh", "-ec", f'{"; ".join(mounts)}; exec "$@"', "sh", *words]

    def found(self) -> set[str]:
        """What is below each of them but directories that are always there, and in the trash."""
        places = "trash images/layers images/blobs/sha256 images/.tr* volumes"
        script = f"cd {self.root}; find {places} -mindepth 1 -maxdepth 1"
        return set(self.inside(f"{script} 2>/dev/null; true").split())

    def inside(self, script: str) -> str:
        """What a script says in its mount namespace."""
        command = ["nsenter", f"--target={self.pid}", "--mount", "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Disks]:
    with Disks(tmp_path) as started:
        yield started


def test_what_is_removed_goes_from_its_own_disk(daemon: Disks) -> None:
    archive = docker_archive(
        Image([busybox()], {"Cmd": ["sh", "-c", "echo well > /data/f; cat /data/f"]}, ["a:1"])
    )
    for _ in range(2):
        daemon.pysup("load", stdin=archive, check=True)
        run = ["run", "--name", "one", "--network", "none", "-v", "data:/data", "a:1"]
        assert daemon.pysup(*run, check=True).stdout == "well\n"
        daemon.pysup("rm", "one", check=True)
        daemon.pysup("volume", "rm", "data", check=True)
        daemon.pysup("image", "rm", "a:1", check=True)
        until(lambda: daemon.found() == set(), "all of it is unlinked")
        daemon.kill("engine")
        daemon.wait_until_it_serves()
    assert "Traceback" not in daemon.log.read_text()


def test_a_disk_that_has_gone_read_only_is_told(daemon: Disks) -> None:
    mount = f"mount -o remount,%s {daemon.root}/containers"
    daemon.inside(mount % "ro")
    refused = daemon.pysup("create", "--network", "none", "host", "true")
    assert refused.returncode != 0
    assert "cannot create container: " in refused.stderr and "Read-only file system" in refused.stderr
    assert "internal error" not in refused.stderr
    daemon.inside(mount % "rw")
    daemon.pysup("run", "--rm", "--network", "none", "host", "true", check=True)
    assert "Traceback" not in daemon.log.read_text()
