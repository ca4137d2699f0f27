"""Tests on the real kernel, as root. What they mount, they mount in the namespaces of containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.keepers import KeeperProcess, keeper_process


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[KeeperProcess]:
    """A running keeper whose engine is the test."""
    with keeper_process(tmp_path) as started:
        yield started
