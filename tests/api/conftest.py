"""What the tests of the API share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.daemon import Daemon


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all tests of a module, which leave nothing in it."""
    with Daemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running
