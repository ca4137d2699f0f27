"""A daemon to be killed; a module whose daemon needs something beforehand has its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.mortal import Mortal


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    """One that nobody has used yet."""
    with Mortal(tmp_path) as running:
        yield running
