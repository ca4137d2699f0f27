"""Trees of this machine for ``pysup cp`` and ``pysup build``, however deep they are."""

from __future__ import annotations

import io
import os
import resource
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import deep_trees

from pysup.supervisor.cli.files import build_context, local_files, walking
from pysup.supervisor.cli.files.copy_names import Target
from pysup.supervisor.errors import PysupError

DEPTH, NAME = 3000, "directory"


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Of 3,000 directories: a path of 30,000 bytes, where the kernel takes 4,096."""
    with deep_trees.removed(tmp_path):
        deep_trees.make(tmp_path / "deep", DEPTH, NAME)
        yield tmp_path / "deep"


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """64 more than there are."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(map(int, os.listdir("/proc/self/fd"))) + 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("walk", [walking.walk, walking._walk_by_paths])
def test_each_directory_comes_before_what_is_in_it(
    tmp_path: Path, walk: Callable[[str, walking.Enters], Iterator[walking.Found]]
) -> None:
    for name in ("b/2/y", "b/1", "a", "c/x", "b-"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    os.symlink("b", tmp_path / "link")
    found = [one.path for one in walk(str(tmp_path), lambda one: one.path != "c")]
    assert found == ["a", "b", "b/1", "b/2", "b/2/y", "b-", "c", "link"]


def test_a_directory_that_is_moved_meanwhile_is_told_of(tmp_path: Path) -> None:
    """When the way back leads elsewhere, and there is more to read where it came from."""
    (tmp_path / "elsewhere").mkdir()
    deep_trees.make(tmp_path / "top", 100)
    (tmp_path / "top" / "d" / "last").touch()
    found = walking.walk(str(tmp_path / "top"))
    assert any(one.name == "leaf" for one in found)
    os.rename(tmp_path / "top" / "d" / "d", tmp_path / "elsewhere" / "d")
    with pytest.raises(FileNotFoundError, match="moved while it was read"):
        list(found)


@pytest.mark.usefixtures("few_descriptors")
def test_a_deep_tree_is_archived(deep: Path) -> None:
    packed = b"".join(local_files.archive(local_files.source(str(deep), follow=False), Target("/")))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = tar.getnames()
    assert len(names) == DEPTH + 2
    assert names[-1] == "/".join(["deep", *[NAME] * DEPTH, "leaf"])


@pytest.mark.usefixtures("few_descriptors")
def test_a_deep_context_is_packed(deep: Path) -> None:
    (deep / "Dockerfile").write_text("FROM host\n")
    (deep / ".dockerignore").write_text("none\n")
    packed = b"".join(build_context.pack(build_context.source_of(str(deep), "", None)))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert len(tar.getnames()) == DEPTH + 3


def test_what_cannot_be_read_is_told_by_the_end_of_its_path(
    deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(found: walking.Found, flags: int) -> int:
        raise PermissionError(13, "Permission denied", found.name)

    monkeypatch.setattr(walking.Found, "open", refuse)
    with pytest.raises(PysupError) as raised:
        list(local_files.archive(local_files.source(str(deep / NAME), follow=False), Target("/")))
    assert str(raised.value).endswith("directory: Permission denied")
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("walk", [walking.walk, walking._walk_by_paths])
def test_what_is_removed_meanwhile_is_not_there(
    tmp_path: Path, walk: Callable[[str, walking.Enters], Iterator[walking.Found]]
) -> None:
    """Before it is looked at, and before it is gone into."""
    for name in ("a/x", "b", "c/y", "d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = walk(str(tmp_path), walking.everywhere)
    assert next(found).path == "a"
    (tmp_path / "b").unlink()
    assert next(found).path == "a/x"
    assert next(found).path == "c"
    shutil.rmtree(tmp_path / "c")
    assert [one.path for one in found] == ["d"]


def packed_while(directory: Path, packed: Iterator[bytes], after: str, change: Callable[[], object]) -> bytes:
    """An archive, and what becomes of the directory once this file of it was read."""
    pieces = []
    for piece in packed:
        pieces.append(piece)
        if piece == (directory / after).read_bytes():
            break
    change()
    return b"".join([*pieces, *packed])


def names(packed: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return tar.getnames()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_tree_in_use_is_archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Also if what was looked at is gone when it is opened."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(f"content of {name}")
    if kind == "link":
        (tmp_path / "b").unlink()
        (tmp_path / "b").symlink_to("a")
    method = "open" if kind == "file" else "link_target"
    usual = getattr(walking.Found, method)

    def removed_first(found: walking.Found, *flags: int) -> object:
        if found.name == "b":
            (tmp_path / "b").unlink()
        return usual(found, *flags)

    monkeypatch.setattr(walking.Found, method, removed_first)
    (tmp_path / "Dockerfile").touch()
    (tmp_path / ".dockerignore").touch()
    packed = b"".join(build_context.pack(build_context.source_of(str(tmp_path), "", None)))
    assert names(packed) == [".dockerignore", "Dockerfile", "a", "c"]
    (tmp_path / "b").write_text("again") if kind == "file" else (tmp_path / "b").symlink_to("a")
    packed = b"".join(local_files.archive(local_files.source(f"{tmp_path}/.", follow=False), Target("/")))
    assert [name for name in names(packed) if "b" in name.rpartition("/")[2]] == []


def test_a_file_that_is_gone_is_no_empty_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    usual = walking.Found.open

    def removed_first(found: walking.Found, flags: int) -> int:
        (tmp_path / "a").unlink()
        return usual(found, flags)

    monkeypatch.setattr(walking.Found, "open", removed_first)
    with pytest.raises(PysupError, match="No such file"):
        list(local_files.archive(local_files.source(str(tmp_path / "a"), follow=False), Target("/")))


def test_a_number_that_is_another_file_s_by_now_makes_no_hard_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content of a")
    (tmp_path / "b").write_text("another")

    def change() -> None:
        os.rename(tmp_path / "a", tmp_path / "b")
        (tmp_path / "b").write_text("content of b")

    pieces = local_files.archive(local_files.source(f"{tmp_path}/.", follow=False), Target("/"))
    packed = packed_while(tmp_path, pieces, "a", change)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        (b,) = [member for member in tar if member.name.rpartition("/")[2] == "b"]
        assert b.isreg()
        content = tar.extractfile(b)
        assert content is not None and content.read() == b"content of b"
