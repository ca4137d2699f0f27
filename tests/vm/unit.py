"""In a guest with systemd: pysup.service starts, reloads, survives the death of its keeper, and stops.

Usage: python -m tests.vm --systemd
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.vm import systemd

PYSUP = str(Path(sys.executable).parent / "pysup")
WITHIN = 120.0


def run(*argv: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def show(name: str) -> str:
    """A property of the unit (systemctl(1))."""
    return run("systemctl", "show", "--value", "-p", name, "pysup")


def until(condition: Callable[[], bool], what: str) -> None:
    """Look until it holds."""
    end = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < end, f"not within {WITHIN} s: {what}"
        select.select([], [], [], 0.2)


def pid_of(container: str) -> int:
    """The pid of its first process."""
    return int(run(PYSUP, "inspect", "-f", "{{.State.Pid}}", container))


def main() -> None:
    """Each step as an administrator would type it."""
    os.environ["PYSUP_ROOT"] = systemd.ROOT
    run("systemctl", "start", "pysup")
    run(PYSUP, "run", "-d", "--name", "web", "--network", "none", "host", "sleep", "1000")
    web, first = pid_of("web"), int(show("MainPID"))
    run("systemctl", "reload", "pysup")
    until(lambda: run(PYSUP, "query", "--csv", "select count(*) from daemon_start").endswith("2"), "upgrade")
    assert (pid_of("web"), int(show("MainPID"))) == (web, first), "a reload keeps everything"

    os.kill(first, signal.SIGKILL)
    until(
        lambda: show("ActiveState") == "active" and int(show("MainPID")) not in (0, first), "a main process"
    )
    second = int(show("MainPID"))
    until(lambda: show("SubState") == "running", "that it stays")
    assert (pid_of("web"), int(show("MainPID"))) == (web, second), "the container runs on"
    assert run(PYSUP, "exec", "web", "echo", "here") == "here"
    print(f"pysup.service: main process {first}, killed; then {second}; restarts: {show('NRestarts')}")

    run("systemctl", "stop", "pysup")
    assert (show("ActiveState"), show("Result")) == ("inactive", "success")
    assert not Path(f"/proc/{web}").exists(), "a stop stops the containers"
    print("pysup.service: started, reloaded, survived, stopped")


if __name__ == "__main__":
    main()
