"""--ipc container:X between containers of different ids: what depends on the kernel's version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = [pytest.mark.kernel, pytest.mark.vm]

QUIET = ("--network", "none", "--stop-signal", "KILL")
OTHER_IDS = ("--uidmap", "0:100000:65536")


def test_memory_for_who_has_other_ids(tmp_path: Path) -> None:
    """A tmpfs can be shown with them since Linux 6.3; on an older kernel the error says so, and which ids would do."""
    look = ("host", "sh", "-c", "echo $$ > /dev/shm/made && stat -c %u /dev/shm/made && rm /dev/shm/made")
    with Daemon(tmp_path) as daemon:
        daemon.pysup(
            "run", "-d", *QUIET, "--ipc", "shareable", "--name", "one", "host", "sleep", "1000", check=True
        )
        join = ("run", "--rm", *QUIET, "--ipc", "container:one")
        assert daemon.pysup(*join, *look, check=True).stdout == "0\n"
        done = daemon.pysup(*join, *OTHER_IDS, *look)
        if version() >= (6, 3):
            assert (done.stdout, done.stderr) == ("0\n", "")
        else:
            assert done.returncode == 125
            assert "since Linux 6.3; --userns container: has the same" in done.stderr
        shared = daemon.pysup(*join, "--userns", "container:one", *look, check=True)
        assert shared.stdout == "0\n"
        daemon.pysup("rm", "-f", "one", check=True)


def version() -> tuple[int, ...]:
    return tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
