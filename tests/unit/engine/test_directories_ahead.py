"""Directories that are made ahead: like those that are made for a container, and never a reason to fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trio.testing

from pysup.supervisor.engine.containers import directories_ahead
from pysup.supervisor.engine.containers.directories_ahead import AHEAD, QUIET, DirectoriesAhead
from pysup.supervisor.runtime import rootfs


def tree(top: Path) -> Iterator[tuple[str, int]]:
    """Every name below with its mode."""
    for path in sorted(top.rglob("*")):
        yield str(path.relative_to(top)), path.stat().st_mode


async def filled(directories: DirectoriesAhead, nursery: trio.Nursery) -> None:
    """Until there are all of them."""
    nursery.start_soon(directories.keep_filled)
    while len(directories._ready) < AHEAD:
        await trio.lowlevel.checkpoint()


async def test_one_that_is_taken_is_as_one_that_is_made(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    directories = DirectoriesAhead(str(tmp_path))
    assert not directories.take(str(tmp_path / "early"))
    await filled(directories, nursery)
    assert directories.take(str(tmp_path / "taken"))
    rootfs.make(str(tmp_path / "made"))
    assert list(tree(tmp_path / "taken")) == list(tree(tmp_path / "made"))
    assert len(list(tree(tmp_path / "made"))) == 6
    assert (tmp_path / "taken").stat().st_mode == (tmp_path / "made").stat().st_mode


async def test_in_a_rush_none_is_made(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    directories = DirectoriesAhead(str(tmp_path))
    await filled(directories, nursery)
    taken = 0
    for number in range(3 * AHEAD):
        taken += directories.take(str(tmp_path / f"taken-{number}"))
        await trio.sleep(QUIET * 0.9)
    assert taken == AHEAD
    assert not list(tmp_path.glob(".ahead-*"))
    await trio.sleep(QUIET)
    while len(list(tmp_path.glob(".ahead-*"))) < AHEAD:
        await trio.lowlevel.checkpoint()


async def test_what_somebody_has_removed_is_not_waited_for(tmp_path: Path, nursery: trio.Nursery) -> None:
    directories = DirectoriesAhead(str(tmp_path))
    await filled(directories, nursery)
    first, *others = sorted(tmp_path.iterdir())
    for path in others:
        path.rename(tmp_path.parent / path.name)
    assert directories.take(str(tmp_path / "taken"))
    assert not directories.take(str(tmp_path / "second"))
    assert not first.exists() and not (tmp_path / "second").exists()


async def test_nothing_is_left_at_the_end_or_of_one_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = DirectoriesAhead(str(tmp_path))
    async with trio.open_nursery() as nursery:
        await filled(directories, nursery)
        nursery.cancel_scope.cancel()
    assert os.listdir(tmp_path) == []

    def half(path: str) -> None:
        os.makedirs(f"{path}/upper")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directories_ahead.rootfs, "make", half)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(directories.keep_filled)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not directories.take(str(tmp_path / "taken"))
        nursery.cancel_scope.cancel()
    assert os.listdir(tmp_path) == []


async def test_an_end_on_a_disk_that_is_read_only_by_now_is_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(directories_ahead.trees, "remove", refuse)
    async with trio.open_nursery() as nursery:
        await filled(DirectoriesAhead(str(tmp_path)), nursery)
        nursery.cancel_scope.cancel()
    assert len(os.listdir(tmp_path)) == AHEAD
