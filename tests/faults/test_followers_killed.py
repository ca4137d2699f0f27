"""Who follows a log goes on in the next engine, also while the container waits for its next run."""

from __future__ import annotations

import subprocess

import pytest
from helpers.mortal import Mortal, until
from helpers.storage import rows

pytestmark = pytest.mark.kernel


def test_a_follower_waits_for_the_next_run_in_the_next_engine(mortal: Mortal) -> None:
    words = [
        "--net",
        "none",
        "--restart",
        "always",
        "--name",
        "again",
        "host",
        "sh",
        "-c",
        "echo born; exit 1",
    ]
    mortal.pysup("run", "-d", *words, check=True)
    waits = "SELECT 1 FROM container WHERE state = 'backoff' AND last_delay > 2"
    until(lambda: rows(mortal.root, waits) != [], "a long wait")
    mortal.kill("engine")
    mortal.wait_until_it_serves()
    command = mortal.command("logs", "-f", "--tail", "0", "again")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None and follower.stdout.readline() == b"born\n"
        mortal.pysup("rm", "-f", "again", check=True)
    assert follower.returncode == 0
