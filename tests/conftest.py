"""What tests share: a real daemon on directories, a socket and a cgroup of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A running daemon; after the test it must end by SIGTERM and leave nothing behind."""
    with Daemon(tmp_path) as running:
        yield running
