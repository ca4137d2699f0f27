"""A full disk: nothing is lost as long as the container lives, it is said once, and copying goes on by itself."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HELPER = Path(__file__).parent.parent / "helpers" / "log_full_disk.py"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    command = ["unshare", "-m", "--propagation", "private", sys.executable, str(HELPER)]
    done = subprocess.run(
        [*command, str(tmp_path_factory.mktemp("full"))],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return json.loads(done.stdout)


@pytest.mark.kernel
def test_bytes_wait_in_the_pipe_until_there_is_room(results: Any) -> None:
    assert results[0] == {"reports": [errno.ENOSPC, 0], "stuck": True, "equal": True}


@pytest.mark.kernel
def test_what_a_dead_process_left_and_no_disk_took_is_a_gap_with_its_count(results: Any) -> None:
    assert results[1]["kept"] + results[1]["lost"] == 50000
    assert results[1]["lost"] == results[1]["left"] > 0
    assert results[1]["last"] == "after\n"
