"""A machine without libseccomp: the daemon says so when it starts, and runs only what asks for no filter."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel


class Unequipped(Daemon):
    """In its own mount namespace an empty file lies where the library is."""

    def command(self, *arguments: str) -> list[str]:
        own = super().command(*arguments)
        if arguments[:1] != ("daemon",):
            return own
        covers = "; ".join(f"mount --bind /dev/null {path}" for path in libraries())
        return ["sh", "-c", f'{covers}; exec "$@"', "sh", *own]


def libraries() -> list[str]:
    """Where the loader finds it (ldconfig(8))."""
    lines = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split(" => ")[1] for line in lines if "libseccomp.so.2 " in line]


def test_it_is_told_and_unconfined_works(tmp_path: Path) -> None:
    assert libraries()
    with Unequipped(tmp_path) as daemon:
        refused = daemon.pysup("run", "--rm", "host", "true")
        assert refused.returncode == 125
        assert (
            "cannot filter system calls: libseccomp.so.2 cannot be loaded: install libseccomp"
            in refused.stderr
        )
        daemon.pysup("run", "--rm", "--security-opt", "seccomp=unconfined", "host", "true", check=True)
        daemon.pysup("run", "--rm", "--privileged", "host", "true", check=True)
        assert "ERROR cannot filter system calls" in daemon.log.read_text()
