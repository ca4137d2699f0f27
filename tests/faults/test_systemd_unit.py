"""A keeper is killed in a systemd unit: the daemon that systemd starts then makes the engine the unit's main process.

systemd itself is here only its notification socket and a unit's cgroup; `python -m tests.vm` has the real one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import CGROUPS
from helpers.mortal import Mortal

pytestmark = pytest.mark.kernel


@pytest.fixture
def unit(mortal: Mortal) -> Iterator[Path]:
    """A cgroup where systemd's own would be, with the daemon in it."""
    base = CGROUPS / "unified"
    cgroup = (base if base.is_dir() else CGROUPS) / f"{mortal.cgroup}-unit.service"
    cgroup.mkdir()
    processes = cgroup / "cgroup.procs"
    for pid in (mortal.keeper, mortal.engine):
        processes.write_text(str(pid))
    yield cgroup
    mortal.stop()
    cgroup.rmdir()


@contextlib.contextmanager
def notify_socket(directory: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(directory / "notify"))
        notify.setblocking(False)
        yield notify


def second(mortal: Mortal, cgroup: Path, notify: socket.socket) -> subprocess.CompletedProcess[str]:
    """Another `pysup daemon` for the same root, in this cgroup."""
    script = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
    return subprocess.run(
        ["sh", "-c", script, str(cgroup), *mortal.command("daemon")],
        env={**os.environ, "NOTIFY_SOCKET": notify.getsockname()},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_systemd_follows_whoever_took_the_keepers_place(mortal: Mortal, unit: Path, tmp_path: Path) -> None:
    mortal.pysup("run", "-d", "--name", "web", "host", "sleep", "1000", check=True)
    killed = mortal.keeper
    mortal.kill("keeper")
    mortal.wait_until_it_serves()
    with notify_socket(tmp_path) as notify:
        left = second(mortal, unit, notify)
        assert (left.returncode, left.stderr) == (0, "")
        assert notify.recv(100).decode() == f"MAINPID={mortal.keeper}\nREADY=1\n"
    assert mortal.keeper != killed
    assert mortal.pysup("exec", "web", "echo", "here", check=True).stdout == "here\n"
    mortal.pysup("rm", "-f", "web", check=True)


def test_elsewhere_a_second_daemon_is_refused(mortal: Mortal, unit: Path, tmp_path: Path) -> None:
    with notify_socket(tmp_path) as notify:
        refused = second(mortal, unit.parent, notify)
        assert refused.returncode == 1
        assert f"another one (pid {mortal.keeper}) uses {mortal.root}" in refused.stderr
        with pytest.raises(BlockingIOError):
            notify.recv(100)
