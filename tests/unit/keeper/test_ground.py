"""Whom an upgrade is asked of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pysup.supervisor.keeper import ground
from pysup.supervisor.settings import Settings


def test_a_daemon_that_has_not_signed_its_lock_yet(tmp_path: Path) -> None:
    """It is just being started, or an engine takes the place of the keeper whose pid is still there."""
    settings = Settings(root=str(tmp_path))
    lock = ground.take_lock(settings)
    with subprocess.Popen(["true"]) as ended:
        pass
    for owner in (b"", f"{ended.pid:<10}\n".encode()):
        os.pwrite(lock, owner, 0)
        with pytest.raises(ground.CannotStart, match=f"that of {tmp_path} begins just now"):
            ground.ask_to_upgrade(settings)
    os.close(lock)
