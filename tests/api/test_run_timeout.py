"""``--timeout``, the longest that a run may take: it is killed then, whatever it thinks of stop signals."""

from __future__ import annotations

import pytest
from helpers.daemon import Daemon
from helpers.mortal import until

pytestmark = pytest.mark.kernel

DEAF = ["host", "sh", "-c", "trap '' TERM; sleep 1000"]
"""Takes no notice of the stop signal: with its grace, or for the time of a stop, it would stay too long."""
LONG = ["--stop-timeout", "1000"]


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


def test_a_run_takes_no_longer(daemon: Daemon) -> None:
    done = daemon.pysup("run", "--name", "slow", "--timeout", "0.2s", *LONG, *DEAF)
    assert (done.returncode, done.stderr) == (137, "")
    ended = daemon.pysup("history", "--format", "{{.Ended}}", "slow", check=True).stdout
    assert ended == "signal 9 (timeout)\n"


def test_its_policy_brings_it_back(daemon: Daemon) -> None:
    words = ["--restart", "on-failure:1", "--restart-delay", "0", "--timeout", "0.2s"]
    daemon.pysup("run", "-d", "--name", "slow", *words, *LONG, *DEAF, check=True)
    until(lambda: daemon.docker("ps", "-q", "-f", "status=exited").stdout != "", "the end of the second run")
    ended = daemon.pysup("history", "--format", "{{.Ended}} {{.Cause}}", "slow", check=True).stdout
    assert sorted(ended.splitlines()) == ["signal 9 (timeout) manual", "signal 9 (timeout) policy"]


def test_nor_does_its_stop(daemon: Daemon) -> None:
    """And it stays stopped."""
    daemon.pysup(
        "run", "-d", "--name", "slow", "--restart", "always", "--timeout", "1s", *LONG, *DEAF, check=True
    )
    assert daemon.pysup("stop", "slow", timeout=60).returncode == 0
    ended = daemon.pysup("history", "--format", "{{.Ended}}", "slow", check=True).stdout
    assert ended == "signal 9 (stop)\n"
