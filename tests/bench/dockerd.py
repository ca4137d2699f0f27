"""A docker daemon for one bench, where none runs: it touches no network, and what it keeps goes with it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.peers import available

_WITHIN = 60.0
"""Seconds for it to answer; it starts containerd first."""


@contextlib.contextmanager
def dockerd(directory: Path) -> Iterator[list[str]]:
    """The words of a docker command that talks to it; [] where it is not installed, or cannot start."""
    if not (shutil.which("dockerd") and shutil.which("docker")):
        yield []
        return
    directory.mkdir()
    words = ["docker", "--host", f"unix://{directory}/docker.sock"]
    process = subprocess.Popen(
        [
            *("unshare", "--net", "dockerd", "--host", f"unix://{directory}/docker.sock"),
            *(
                "--data-root",
                directory / "root",
                "--exec-root",
                directory / "exec",
                "--pidfile",
                directory / "pid",
            ),
            *("--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield words if _answers([*words, "info"], process) else []
    finally:
        process.terminate()
        process.wait(_WITHIN)


def _answers(words: list[str], process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _WITHIN
    while process.poll() is None and time.monotonic() < end:
        if available(words):
            return True
        time.sleep(0.2)
    return False
