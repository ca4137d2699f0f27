"""What a container leaves goes: by the names that are known where it has written nothing, by looking where it has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from pysup.supervisor.engine import usual_leavings
from pysup.supervisor.engine.trash import Trash
from pysup.supervisor.runtime import rootfs


def left(directory: Path, *, printed: bool = False, volatile: bool = False) -> Path:
    rootfs.make(str(directory))
    if printed:
        (directory / "logs").mkdir()
        for name in ("00000001.idx", "00000001.log"):
            (directory / "logs" / name).write_text("x")
    if volatile:
        (directory / "work/work/incompat/volatile").mkdir(parents=True)
        (directory / "work/work/incompat/volatile/dirty").touch()
    return directory


async def emptied(trash: Trash, directory: Path) -> list[str]:
    async with trio.open_nursery() as nursery:
        await nursery.start(trash.keep_empty)
        with trio.fail_after(10):
            while found := os.listdir(directory):
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    return found


@pytest.mark.parametrize("volatile", [True, False])
@pytest.mark.parametrize("printed", [True, False])
def test_what_is_usual_goes_by_its_names(tmp_path: Path, *, printed: bool, volatile: bool) -> None:
    directory = left(tmp_path / "c", printed=printed, volatile=volatile)
    assert usual_leavings.remove(str(directory))
    assert not directory.exists()


def test_where_there_is_more_the_directory_stays(tmp_path: Path) -> None:
    directory = left(tmp_path / "c")
    (directory / "upper/file").write_text("written by the container")
    assert not usual_leavings.remove(str(directory))
    assert (directory / "upper/file").read_text() == "written by the container"


@pytest.mark.parametrize("place", ["etc", "logs", "work", "work/work", "work/work/incompat"])
async def test_a_link_in_the_place_of_a_directory_is_not_followed(tmp_path: Path, place: str) -> None:
    """All goes, and nothing of what the link leads to."""
    thrown = left(tmp_path / "c", printed=True, volatile=True)
    (thrown / place).rename(tmp_path / "elsewhere")
    (thrown / place).symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    (tmp_path / "trash").mkdir()
    trash = Trash(str(tmp_path / "trash"))
    trash.throw_container(str(thrown))
    assert await emptied(trash, tmp_path / "trash") == []
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before != []


async def test_the_trash_looks_where_there_is_more(tmp_path: Path) -> None:
    thrown = left(tmp_path / "c", printed=True)
    (thrown / "upper/deep/deeper").mkdir(parents=True)
    (thrown / "upper/deep/link").symlink_to("/etc")
    (thrown / "logs/00000002.log").touch()
    (tmp_path / "trash").mkdir()
    trash = Trash(str(tmp_path / "trash"))
    trash.throw_container(str(thrown))
    assert not thrown.exists()
    assert await emptied(trash, tmp_path / "trash") == []


async def test_only_containers_are_removed_by_names(tmp_path: Path) -> None:
    """An image's directory may have a link that leads to the host's files."""
    outside, image = tmp_path / "host-etc", tmp_path / "image"
    outside.mkdir()
    (outside / "hostname").write_text("the host's")
    image.mkdir()
    (image / "etc").symlink_to(outside)
    (tmp_path / "trash").mkdir()
    trash = Trash(str(tmp_path / "trash"))
    trash.throw(str(image))
    assert await emptied(trash, tmp_path / "trash") == []
    assert (outside / "hostname").read_text() == "the host's"
