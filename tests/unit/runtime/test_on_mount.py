"""A finding is asked for again once another mount is there, or if it was the moment's."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysup.supervisor.runtime.on_mount import Finding, OnMount, mount_of


class Finder:
    def __init__(self, *, lasts: bool) -> None:
        self.lasts = lasts
        self.tries = 0

    async def find(self) -> Finding:
        self.tries += 1
        return Finding(f"found {self.tries}", self.lasts)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A path that leads into another mount after go_elsewhere()."""
    (tmp_path / "place").symlink_to(tmp_path)
    return tmp_path / "place"


def go_elsewhere(place: Path) -> None:
    place.unlink()
    place.symlink_to("/proc")


async def test_what_lasts_is_found_once_a_mount(place: Path) -> None:
    finder, known = Finder(lasts=True), OnMount(str(place))
    assert [await known.ask(finder.find) for _time in range(2)] == ["found 1", "found 1"]
    go_elsewhere(place)
    assert [await known.ask(finder.find) for _time in range(2)] == ["found 2", "found 2"]


async def test_what_is_the_moments_is_not_kept(place: Path) -> None:
    finder, known = Finder(lasts=False), OnMount(str(place))
    assert [await known.ask(finder.find) for _time in range(2)] == ["found 1", "found 2"]


def test_a_mount_is_told_from_others(place: Path) -> None:
    assert mount_of(str(place)) == mount_of(str(place.parent))
    assert mount_of(str(place)) != mount_of("/proc")
