"""What tests share: a real daemon on directories, a socket and a cgroup of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import own_network
from helpers.daemon import Daemon
from helpers.registries import Registry
from hypothesis import settings

if os.geteuid() == 0:  # here, and not in a fixture: before any thread is made
    own_network.enter()

# What somebody has set for a daemon and a docker command of their own would be asked, too.
for _name in [*os.environ]:
    if _name.startswith(("DOCKER_", "PYSUP_")) and not _name.startswith("PYSUP_TORTURE_"):
        del os.environ[_name]
# Every daemon and command that a test starts would compile all it imports, again and again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Under nohup(1) every daemon of a test would ignore it, too, and never be upgraded.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says nothing on a machine that others use, too: 200 ms are over by chance.
settings.register_profile("pysup", deadline=None)
settings.load_profile("pysup")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A running daemon; after the test it must end by SIGTERM and leave nothing behind."""
    with Daemon(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all tests of a module, which leave nothing in it."""
    with Daemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for all tests of a module."""
    with Registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def tidy(shared: Daemon) -> Iterator[Daemon]:
    """The module's daemon, which has no container when a test begins."""
    yield shared
    shared.remove_containers()
