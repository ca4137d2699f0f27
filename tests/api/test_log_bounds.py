"""What logs may take on disk, indexes included, is what the limits say: of one container, and of all together."""

from __future__ import annotations

import contextlib
import json
import select
import time
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel
KIB, MIB = 1 << 10, 1 << 20
BOUND = 60.0
LINES = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done"
"""Short lines: where a reader is quick the index is larger than the log."""


def taken(*directories: Path) -> int:
    """Bytes of the files; one may be removed while the rest is looked at."""
    size = 0
    for path in (path for directory in directories for path in directory.glob("*/logs/*")):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def test_the_index_counts(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        limits = ("--log-opt", "max-size=16k", "--log-opt", "max-file=2")
        daemon.pysup("run", "--name", "lines", *limits, "host", "bash", "-c", LINES, check=True)
        assert 0 < taken(daemon.root / "containers") <= 32 * KIB
        assert daemon.pysup("logs", "-n", "1", "lines").stdout == "2999\n"
        info = json.loads(daemon.pysup("info", "--format", "json", check=True).stdout)
        assert info["Pysup"]["Settings"]["LogTotal"] == 4 << 30
        assert "4GiB in total (with indexes)" in daemon.pysup("info", check=True).stdout


def test_all_logs_together(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--log-total", "4m", "--log-max-size", "1m", "--log-max-files", "2") as daemon:
        for number in range(4):
            name = f"flood{number}"
            daemon.pysup(
                "run",
                "--name",
                name,
                "host",
                "head",
                "-c",
                str(3 * MIB),
                "/dev/zero",
                check=True,
                timeout=BOUND,
            )
            deadline = time.monotonic() + BOUND
            while taken(daemon.root / "containers") > 4 * MIB:  # nobody announces what is removed
                assert time.monotonic() < deadline
                select.select([], [], [], 0.02)
        last = daemon.pysup("logs", "flood3", check=True)
        assert set(last.stdout) == {"\0"}
