"""Two daemons whose roots are two, and whose cgroups lie in the same parent: it is the same by default."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel


def test_a_daemon_beside_another_one_ends_only_what_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with Daemon(tmp_path / "first") as first:
        first.pysup(
            "run", "-d", "--name", "its-own", "--network", "none", "host", "sleep", "1000", check=True
        )
        before = first.inspect("its-own")["State"]
        second = Daemon(tmp_path / "second")
        second.cgroup = first.cgroup
        second.start()
        try:
            assert first.inspect("its-own")["State"] == before
            os.kill(second.engine_pid, signal.SIGKILL)
            second.pysup("ps", check=True)  # waits for the next engine
            assert first.inspect("its-own")["State"] == before
        finally:
            assert second.stop() == 0
        first.pysup("rm", "-f", "its-own", check=True)
