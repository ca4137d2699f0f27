"""SIGKILL of the copying process at random instants loses no byte, doubles none, and mixes up no stream."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HELPER = Path(__file__).parent.parent / "helpers" / "log_torture.py"


@pytest.mark.parametrize("kind", ["pipes", "terminal"])
def test_every_byte_arrives_whenever_the_pump_is_killed(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, str(HELPER), str(tmp_path / "logs"), "100", "7", kind]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    result = json.loads(done.stdout)
    assert result["equal"], result
    assert result["times_sorted"]
    assert result["bytes"] > 100_000
