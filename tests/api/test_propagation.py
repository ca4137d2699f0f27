"""Binds with propagation: which mounts of the host a container sees, and which of its own the host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel


class Shared(Daemon):
    """The daemon's mount namespace stands for the host's."""

    def mount(self, *words: str | Path) -> None:
        """mount(8), as the host would."""
        self.as_host("mount", *words)

    def as_host(self, *words: str | Path) -> str:
        """A command in its mount namespace; what it prints."""
        command = ["nsenter", f"--target={self.pid}", "--mount", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def listed(self, path: Path) -> list[str]:
        """ls(1), as the host sees it."""
        return self.as_host("ls", path).split()

    def unmount(self, path: Path) -> None:
        """umount(8), with all below."""
        self.as_host("umount", "-R", path)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with Shared(tmp_path_factory.mktemp("propagation")) as started:
        yield started


@pytest.fixture
def place(daemon: Shared, tmp_path: Path) -> Iterator[Path]:
    """A mount of its own that is shared, with directories that can be mounted on."""
    directory = tmp_path / "place"
    directory.mkdir()
    daemon.mount("-t", "tmpfs", "tmpfs", directory)
    daemon.mount("--make-shared", directory)
    daemon.as_host("mkdir", directory / "of-host", directory / "of-container")
    yield directory
    daemon.unmount(directory)


def start(daemon: Daemon, place: Path, options: str) -> None:
    mount = ["-v", f"{place}:/place:{options}", "--cap-add", "SYS_ADMIN", "--network", "none"]
    daemon.pysup("run", "-d", "--name", "one", *mount, "host", "sleep", "1000", check=True)


def inside(daemon: Daemon, *words: str) -> list[str]:
    return daemon.pysup("exec", "one", *words, check=True).stdout.split()


@pytest.mark.parametrize(
    ("options", "host_to_container", "container_to_host"),
    [
        ("rshared", True, True),
        ("shared", True, True),
        ("rslave", True, False),
        ("rprivate", False, False),
        ("rw", False, False),
    ],
)
def test_which_mounts_travel(
    daemon: Shared, place: Path, options: str, host_to_container: bool, container_to_host: bool
) -> None:
    start(daemon, place, options)
    try:
        daemon.mount("-t", "tmpfs", "tmpfs", place / "of-host")
        daemon.as_host("touch", place / "of-host/file")
        assert inside(daemon, "ls", "/place/of-host") == (["file"] if host_to_container else [])
        own = "mount -t tmpfs tmpfs /place/of-container && touch /place/of-container/file"
        daemon.pysup("exec", "--privileged", "one", "sh", "-c", own, check=True)
        assert daemon.listed(place / "of-container") == (["file"] if container_to_host else [])
    finally:
        daemon.pysup("rm", "-f", "one", check=True)
    assert daemon.listed(place) == ["of-container", "of-host"]


def test_docker_asks_for_it_by_mount(daemon: Shared, place: Path) -> None:
    mount = f"type=bind,src={place},dst=/place,bind-propagation=rshared"
    done = daemon.docker(
        "run", "--name", "two", "--mount", mount, "host", "grep", "/place", "/proc/self/mountinfo"
    )
    assert "shared:" in done.stdout, done.stderr
    assert '"Propagation": "rshared"' in daemon.docker("inspect", "two").stdout
    daemon.pysup("rm", "two", check=True)


def test_a_private_mount_has_nothing_to_share(daemon: Shared, place: Path) -> None:
    daemon.mount("--make-private", place)
    for options in ("shared", "rslave"):
        done = daemon.pysup("run", "--rm", "-v", f"{place}:/place:{options}", "host", "true")
        assert done.returncode == 125
        assert f"it lies in the mount {place}, which is private" in done.stderr
    daemon.mount("--make-shared", place)


def test_a_user_namespace_never_shares(daemon: Shared, place: Path) -> None:
    words = ["--uidmap", "0:100000:65536", "-v", f"{place}:/place:rshared", "host", "true"]
    done = daemon.pysup("run", "--rm", *words)
    assert done.returncode == 125 and "shared propagation conflicts with --userns private" in done.stderr
