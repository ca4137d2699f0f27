"""A docker daemon for a bench alone: its own network and mount namespace, directories and cgroup, all gone after it."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.bench.common import call
from tests.bench.peers import DockerLike, available

_WITHIN = 60.0
_CGROUPS = Path("/sys/fs/cgroup")
_SET_UP = 'ip link set lo up && mount -t tmpfs none /run && exec dockerd "$@"'


class DockerAlone(DockerLike):
    """Containers are on its default bridge."""

    name = "docker"
    _options = ()

    def __init__(self, directory: Path, archive: Path) -> None:
        self._directory, self._archive = directory, archive
        self._cgroup = f"pysup-bench-docker-{os.getpid()}"
        self._words = ["docker", "-H", f"unix://{directory}/sock"]
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_installed() -> bool:
        """Whether there is a docker daemon to be started."""
        return all(map(shutil.which, ("dockerd", "docker", "iptables")))

    def __enter__(self) -> Self:
        self._directory.mkdir()
        options = {
            "data-root": "root",
            "exec-root": "exec",
            "pidfile": "pid",
        }
        words = [f"--{name}={self._directory}/{value}" for name, value in options.items()]
        words += [
            f"--host=unix://{self._directory}/sock",
            "--storage-driver=vfs",
            f"--cgroup-parent={self._cgroup}",
        ]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "-mn", "--propagation", "private", "sh", "-c", _SET_UP, "dockerd", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_serves()
        self._image = call([*self._words, "import", self._archive]).strip()
        return self

    def _wait_until_it_serves(self) -> None:
        end = time.monotonic() + _WITHIN
        while not available([*self._words, "info"]):
            if time.monotonic() > end:
                raise SystemExit((self._directory / "log").read_text())
            select.select([], [], [], 0.1)

    def __exit__(self, *details: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_WITHIN)
        for path in _CGROUPS.glob(f"**/{self._cgroup}"):
            path.rmdir()

    @property
    def host_pid(self) -> int:
        """Of the daemon, in whose network namespace its bridge is."""
        assert self._process is not None
        return self._process.pid
