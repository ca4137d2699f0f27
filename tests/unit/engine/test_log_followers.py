"""Who follows a log waits for more as long as more may come, also in an engine that has just taken a container over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from helpers.rows import container

from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.states import RESTING, State
from pysup.supervisor.engine.containers.stdio import ContainerStdio
from pysup.supervisor.errors import PysupError
from pysup.supervisor.logs.budget import Budget
from pysup.supervisor.logs.writer import MAX_FILES, MAX_SIZE, UNLIMITED
from pysup.supervisor.spec.from_docker import normalise

BODY = {"Image": "x", "Cmd": ["x"]}


@contextlib.contextmanager
def stdio(directory: Path, state: State) -> Iterator[ContainerStdio]:
    settings = SimpleNamespace(
        container_dir=lambda _id: str(directory), log_max_size=MAX_SIZE, log_max_files=MAX_FILES
    )
    parts = cast("Any", SimpleNamespace(settings=settings, logs=Budget(UNLIMITED)))
    row = container(BODY, state=state.value)
    made = ContainerStdio(parts, Record(parts, row, normalise(BODY, {}).spec), lambda: None)
    yield made
    made.close()


@pytest.mark.parametrize("state", State)
def test_there_is_more_to_wait_for_unless_the_container_rests(tmp_path: Path, state: State) -> None:
    with stdio(tmp_path, state) as one:
        feed = one.follow()
        assert (feed is None) == (state in RESTING)
        assert (tmp_path / "logs").exists() == (state not in RESTING)


def test_a_log_that_cannot_be_opened_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "logs").symlink_to(tmp_path)
    with stdio(tmp_path, State.RUNNING) as one:
        with pytest.raises(PysupError, match="cannot open the log of container web: Not a directory"):
            one.follow()
        with pytest.raises(PysupError, match="cannot open the log"), one.attach():
            raise AssertionError
        one.open_log(patient=True)
        with pytest.raises(PysupError, match="cannot open the log"):
            one.follow()


def test_a_log_that_was_moved_away_is_told_of(tmp_path: Path) -> None:
    with stdio(tmp_path, State.RUNNING) as one:
        assert one.follow() is not None
        (tmp_path / "logs").rename(tmp_path / "away")
        (tmp_path / "logs").symlink_to(tmp_path / "away")
        with pytest.raises(PysupError, match="cannot open the log of container web: Not a directory"):
            one.follow()
