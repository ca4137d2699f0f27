"""A container's overlay outlives its process (engine/containers/kept_layers.py), and nothing else of it does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.mortal import until

pytestmark = pytest.mark.kernel

TELLS = "stat -c %d / >> /told; exec sleep 1000"
"""The device number is that of the overlay: another mount has another one."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon")) as started:
        yield started


def told(daemon: Daemon, name: str) -> list[str]:
    """What its runs have written, from the write layer itself."""
    identity = daemon.pysup("inspect", "-f", "{{.Id}}", name, check=True).stdout.strip()
    path = daemon.root / "containers" / identity / "upper" / "told"
    return path.read_text().split() if path.exists() else []


def kept(daemon: Daemon) -> int:
    """How many descriptors of mount points the engine has: those of its own directories are read with a flag."""
    found = 0
    for fd in Path(f"/proc/{daemon.engine_pid}/fd").iterdir():
        try:
            found += (
                os.readlink(fd) == "/"
                and os.stat(fd).st_dev != os.stat(f"/proc/{daemon.engine_pid}/root").st_dev
            )
        except FileNotFoundError:
            continue
    return found


def run(daemon: Daemon, name: str, *flags: str) -> None:
    daemon.pysup("run", "-d", "--name", name, *flags, "host", "sh", "-c", TELLS, check=True)
    until(lambda: len(told(daemon, name)) == 1, "its first word")


def kill(daemon: Daemon, name: str) -> None:
    os.kill(int(daemon.pysup("inspect", "-f", "{{.State.Pid}}", name, check=True).stdout), signal.SIGKILL)


def test_a_restart_takes_the_same_overlay(daemon: Daemon) -> None:
    run(daemon, "again", "--restart", "always", "--restart-delay", "0s")
    for runs in (2, 3):
        kill(daemon, "again")
        until(lambda wanted=runs: len(told(daemon, "again")) == wanted, "its next run")  # type: ignore[misc]
    daemon.pysup("restart", "-t", "0", "again", check=True)
    until(lambda: len(told(daemon, "again")) == 4, "the run after a restart")
    assert len(set(told(daemon, "again"))) == 1
    daemon.pysup("rm", "-f", "again", check=True)


def test_at_rest_it_is_let_go_and_the_next_start_mounts_it_anew(daemon: Daemon) -> None:
    run(daemon, "rests")
    assert kept(daemon) > 0
    for runs in (2, 3):
        daemon.pysup("stop", "-t", "0", "rests", check=True)
        until(lambda: kept(daemon) == 0, "that the overlay is let go")
        daemon.pysup("start", "rests", check=True)
        until(lambda wanted=runs: len(told(daemon, "rests")) == wanted, "its next run")  # type: ignore[misc]
    daemon.pysup("rm", "-f", "rests", check=True)
    until(lambda: kept(daemon) == 0, "that the overlay is let go")


def test_an_engine_that_lost_it_mounts_it_anew(daemon: Daemon) -> None:
    run(daemon, "lost", "--restart", "always", "--restart-delay", "0s")
    engine = daemon.engine_pid
    os.kill(engine, signal.SIGKILL)
    until(lambda: daemon.pysup("ps", "-q").returncode == 0, "another engine")
    kill(daemon, "lost")
    until(lambda: len(told(daemon, "lost")) == 2, "its next run")
    kill(daemon, "lost")
    until(lambda: len(told(daemon, "lost")) == 3, "the run after that")
    assert told(daemon, "lost")[1] == told(daemon, "lost")[2]
    daemon.pysup("rm", "-f", "lost", check=True)


def test_a_start_that_fails_spoils_nothing(daemon: Daemon, tmp_path: Path) -> None:
    """A program that cannot be executed: the overlay had been taken into its mount namespace already."""
    script = tmp_path / "program"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    words = [
        "--restart",
        "on-failure:3",
        "--restart-delay",
        "0s",
        "-v",
        f"{script}:/program",
        "host",
        "/program",
    ]
    daemon.pysup("run", "--name", "odd", *words)
    script.chmod(0o644)
    failed = daemon.pysup("start", "-a", "odd")
    assert failed.returncode == 126, failed
    script.chmod(0o755)
    assert daemon.pysup("start", "-a", "odd").returncode == 3
    until(lambda: kept(daemon) == 0, "that the overlay is let go")
    daemon.pysup("rm", "odd", check=True)


def test_read_only_holds_for_every_run(daemon: Daemon) -> None:
    script = "touch /x 2>/dev/null && echo written || echo refused"
    words = [
        "--read-only",
        "--restart",
        "on-failure:2",
        "--restart-delay",
        "0s",
        "host",
        "sh",
        "-c",
        f"{script}; exit 1",
    ]
    daemon.pysup("run", "--name", "ro", *words)
    until(lambda: daemon.pysup("logs", "ro").stdout.split() == ["refused"] * 3, "three runs")
    daemon.pysup("rm", "-f", "ro", check=True)
