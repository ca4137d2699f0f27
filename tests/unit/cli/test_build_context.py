"""What ``pysup build`` sends: which files, under which names, and from nowhere else."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from pysup.supervisor.cli.files.build_context import Source, pack, source_of
from pysup.supervisor.errors import BadRequest, PysupError


def sent(source: Source) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(source)))) as tar:
        return {member.name: member for member in tar}


def content(source: Source, name: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(source)))) as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read().decode()


def write(directory: Path, files: Iterable[str], **contents: str) -> Path:
    for name in files:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for name, text in contents.items():
        (directory / name.replace("_", ".")).write_text(text)
    return directory


def test_a_directory_is_sent_with_roots_owners_and_no_link_is_followed(tmp_path: Path) -> None:
    top = write(tmp_path / "c", ["Dockerfile", "a", "d/e", "long/" + "x" * 200])
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("")
    os.symlink("../outside", top / "link")
    os.link(top / "a", top / "also")
    (top / "d" / "e").chmod(0o750)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(top / "sock"))
        found = sent(source_of(str(top), "", None))
    assert list(found) == ["Dockerfile", "a", "also", "d", "d/e", "link", "long", "long/" + "x" * 200]
    assert (found["link"].linkname, found["link"].issym()) == ("../outside", True)
    assert found["also"].islnk() and found["also"].linkname == "a"
    assert found["d/e"].mode == 0o750
    assert {(one.uid, one.gid) for one in found.values()} == {(0, 0)}


def test_rules_leave_out_but_never_the_dockerfile_and_themselves(tmp_path: Path) -> None:
    rules = "*\n!d/keep\n"
    top = write(tmp_path, ["Dockerfile", "a", "d/keep", "d/other", "e/f"])
    (top / ".dockerignore").write_text(rules)
    assert list(sent(source_of(str(top), "", None))) == [".dockerignore", "Dockerfile", "d/keep"]


def test_a_dockerfile_of_the_context_keeps_its_name_and_one_from_elsewhere_is_removed_again(
    tmp_path: Path,
) -> None:
    top = write(tmp_path / "c", ["sub/My.file", "a"])
    inside = source_of(str(top), str(top / "sub" / "My.file"), None)
    assert inside.dockerfile == "sub/My.file" and "sub/My.file" in sent(inside)
    write(tmp_path, ["Else"])
    outside = source_of(str(top), str(tmp_path / "Else"), None)
    assert outside.dockerfile.startswith(".dockerfile.")
    assert content(outside, outside.dockerfile) == "Else"
    assert content(outside, ".dockerignore").split() == [outside.dockerfile, ".dockerignore"]
    (top / ".dockerignore").write_text("a\n")
    typed = source_of(str(top), "-", b"FROM x")
    assert content(typed, ".dockerignore").split() == ["a", typed.dockerfile]
    assert "a" not in sent(typed)


def test_a_dockerfile_may_have_rules_of_its_own(tmp_path: Path) -> None:
    top = write(tmp_path, ["Dockerfile", "a", "b"])
    (top / ".dockerignore").write_text("a")
    (top / "Dockerfile.dockerignore").write_text("b\nDockerfile*")
    source = source_of(str(top), "", None)
    assert list(sent(source)) == ["a", source.dockerfile, ".dockerignore"]
    assert content(source, source.dockerfile) == "Dockerfile"


def test_small_letters_do_and_what_is_missing_is_said(tmp_path: Path) -> None:
    top = write(tmp_path / "c", ["dockerfile"])
    assert source_of(str(top), "", None).dockerfile == "dockerfile"
    for directory, dockerfile, cause in (
        (tmp_path / "nope", "", "not found, or no directory"),
        (top, str(top / "nope"), "no such file"),
        (tmp_path, "", "no such file"),
    ):
        with pytest.raises(PysupError, match=cause):
            source_of(str(directory), dockerfile, None)
    (top / ".dockerignore").write_text("a[")
    with pytest.raises(BadRequest, match=r"cannot read .dockerignore"):
        list(pack(source_of(str(top), "", None)))
