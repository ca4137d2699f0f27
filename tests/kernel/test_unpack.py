"""Hostile archives: an error that names the entry, or harmless inside; outside nothing is touched."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from helpers.images import DIRECTORY, Member
from helpers.images import layer as archive

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.images.layers import make_directories, unpack_layer
from pysup.supervisor.runtime import trees

pytestmark = pytest.mark.kernel


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Path]:
    """An images directory beside a file that must not change."""
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "outside").mkdir()
    make_directories(str(tmp_path / "images"))
    yield tmp_path / "images"
    assert (tmp_path / "victim").read_text() == "untouched"
    assert stat.S_IMODE((tmp_path / "victim").stat().st_mode) == 0o644
    assert list((tmp_path / "outside").iterdir()) == []
    assert list((tmp_path / "images" / "tmp").iterdir()) == []


def imported(images: Path, data: bytes) -> Path:
    layer = unpack_layer(io.BytesIO(data), str(images))
    assert layer.diff_id == f"sha256:{layer.name}"
    return images / "layers" / layer.name


def link(name: str, target: str) -> Member:
    return name, {"type": tarfile.SYMTYPE, "linkname": target}, b""


def hard(name: str, target: str) -> Member:
    return name, {"type": tarfile.LNKTYPE, "linkname": target}, b""


@pytest.mark.parametrize(
    "members",
    [
        [("../victim", {}, b"x")],
        [("a/../../victim", {}, b"x")],
        [hard("a", "../victim")],
        [link("up", "/nowhere/inside"), ("up/file", {}, b"x")],
        [hard("a", "/nothing/there")],
    ],
)
def test_refused_by_name(images: Path, members: list[Member]) -> None:
    with pytest.raises(BadRequest, match="cannot unpack entry"):
        imported(images, archive(*members))
    assert list((images / "layers").iterdir()) == []


def test_links_lead_nowhere_but_inside(images: Path, tmp_path: Path) -> None:
    root = imported(
        images,
        archive(
            ("real", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""),
            link("up", "/../../real"),
            ("up/file", {"mode": 0o4755}, b"inside"),
            link("victim", str(tmp_path / "victim")),
            ("victim", {"mode": 0o777}, b"replaced"),
            ("/absolute", {}, b"a"),
        ),
    )
    assert (root / "real" / "file").read_text() == "inside"
    assert not (root / "victim").is_symlink()
    assert (root / "absolute").read_text() == "a"


def test_everything_that_a_root_filesystem_has(images: Path) -> None:
    root = imported(
        images,
        archive(
            ("d", {"type": tarfile.DIRTYPE, "mode": 0o1777, "uid": 7, "gid": 8, "mtime": 1000}, b""),
            ("d/f", {"mode": 0o4755, "uid": 1234, "gid": 5678, "mtime": 2000}, b"content"),
            hard("d/h", "d/f"),
            ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3, "mode": 0o666}, b""),
            ("pipe", {"type": tarfile.FIFOTYPE, "mode": 0o600}, b""),
            (
                "x",
                {"pax_headers": {"SCHILY.xattr.user.a": "b", "SCHILY.xattr.trusted.overlay.opaque": "y"}},
                b"1",
            ),
            ("sparse", {}, bytes(3 << 20) + b"end"),
        ),
    )
    directory, file = (root / "d").stat(), (root / "d/f").stat()
    assert (stat.S_IMODE(directory.st_mode), directory.st_uid, directory.st_gid, directory.st_mtime) == (
        0o1777,
        7,
        8,
        1000,
    )
    assert (stat.S_IMODE(file.st_mode), file.st_uid, file.st_nlink, file.st_mtime) == (0o4755, 1234, 2, 2000)
    assert (root / "null").stat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO((root / "pipe").stat().st_mode)
    assert os.listxattr(root / "x") == ["user.a"]
    assert (root / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (root / "sparse").read_bytes() == bytes(3 << 20) + b"end"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress, bytes])
def test_the_digest_is_that_of_the_plain_archive(images: Path, compress: Callable[[bytes], bytes]) -> None:
    data = archive(("f", {}, b"x" * 5000))
    root = imported(images, compress(data))
    assert root.name == hashlib.sha256(data).hexdigest()
    assert imported(images, compress(data)) == root, "the same layer again is the same layer"


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstandard.compress, bytes])
@pytest.mark.parametrize("cut", [10, 600, 3000])
def test_half_an_archive_is_no_layer(images: Path, compress: Callable[[bytes], bytes], cut: int) -> None:
    data = compress(archive(("f", {}, os.urandom(20_000))))
    with pytest.raises(BadRequest, match=r"cannot (unpack|read|decompress)"):
        imported(images, data[:cut])
    assert list((images / "layers").iterdir()) == []


# -- whiteouts -----------------------------------------------------------------------------------------------


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path)


def test_whiteouts_become_those_of_overlayfs(images: Path) -> None:
    root = imported(
        images,
        archive(
            (".wh.gone", {}, b""),
            ("d/.wh.below", {}, b""),
            ("o", DIRECTORY, b""),
            ("o/.wh..wh..opq", {}, b""),
        ),
    )
    assert is_whiteout(root / "gone") and is_whiteout(root / "d/below")
    assert is_opaque(root / "o") and not is_opaque(root / "d")
    assert sorted(path.name for path in root.iterdir()) == ["d", "gone", "o"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_whiteout_hides_nothing_of_its_own_layer(images: Path, order: int) -> None:
    members: list[Member] = [("d/f", {}, b"d"), (".wh.d", {}, b"")]
    others: list[Member] = [("f", {}, b"f"), (".wh.f", {}, b"")]
    root = imported(images, archive(*members[::order], *others[::order]))
    assert (root / "d/f").read_text() == "d"
    assert (root / "f").read_text() == "f"
    assert is_opaque(root / "d"), "what lower layers have in the directory is hidden"


def test_a_whiteout_before_its_directory_makes_it_opaque(images: Path) -> None:
    assert is_opaque(imported(images, archive((".wh.d", {}, b""), ("d", DIRECTORY, b""))) / "d")


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh..."])
def test_a_whiteout_of_no_name_is_refused(images: Path, name: str) -> None:
    with pytest.raises(BadRequest, match=r"cannot unpack entry .*hides no name"):
        imported(images, archive((name, {}, b"")))


def test_a_whiteout_over_a_link_touches_only_the_link(images: Path, tmp_path: Path) -> None:
    root = imported(images, archive(link("l", str(tmp_path)), (".wh.l", {}, b"")))
    assert (root / "l").is_symlink()
    with pytest.raises(BadRequest, match=r"cannot unpack entry 'l/\.wh\.victim'"):
        imported(images, archive(link("l", str(tmp_path)), ("l/.wh.victim", {}, b"")))


# -- order and kinds -----------------------------------------------------------------------------------------


def test_a_later_entry_takes_the_place_of_an_earlier_one(images: Path) -> None:
    root = imported(
        images,
        archive(
            ("a/b/c", {}, b"1"),
            ("a", {}, b"now a file"),
            ("x", {}, b"1"),
            ("x", DIRECTORY, b""),
            ("x/y", {}, b"2"),
            ("real", DIRECTORY, b""),
            ("d/e", {}, b"3"),
            ("d", {"type": tarfile.SYMTYPE, "linkname": "real"}, b""),
            ("d/through", {}, b"4"),
        ),
    )
    assert (root / "a").read_text() == "now a file"
    assert (root / "x/y").read_text() == "2"
    assert (root / "real/through").read_text() == "4"


def test_capabilities_and_set_uid_bits_survive_the_change_of_owner(images: Path) -> None:
    capability = b"\x01\0\0\x02\0\x20" + bytes(14)
    fields = {"uid": 5, "gid": 6, "mode": 0o6755}
    headers = {
        "pax_headers": {"SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape")}
    }
    root = imported(images, archive(("set", fields, b"x"), ("cap", {**fields, **headers}, b"x")))
    assert stat.S_IMODE((root / "set").stat().st_mode) == 0o6755
    assert os.getxattr(root / "cap", "security.capability") == capability
    assert (root / "cap").stat().st_uid == 5


def test_missing_parents_and_deep_trees(images: Path) -> None:
    deep = "/".join("d" * 1500)
    root = imported(images, archive((f"{deep}/f", {}, b"deep"), ("other/f", {}, b"x")))
    assert (root / "other/f").read_text() == "x"
    found = subprocess.run(["find", root, "-name", "f"], capture_output=True, text=True, check=True).stdout
    assert len(found.splitlines()) == 2
    trees.remove(str(root))  # pytest's own way to remove it has no bound on recursion


def test_times_are_exact(images: Path) -> None:
    root = imported(images, archive(("f", {"pax_headers": {"mtime": "1700000000.123456789"}}, b"x")))
    assert (root / "f").stat().st_mtime_ns == 1_700_000_000_123_456_789


@pytest.mark.parametrize(
    "version", ["--format=gnu", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"]
)
def test_sparse_files_keep_their_holes(images: Path, tmp_path: Path, version: str) -> None:
    with (tmp_path / "s").open("wb") as file:
        for at in range(0, 20 << 20, 5 << 20):
            file.seek(at)
            file.write(b"data" * 1024)
        file.truncate(30 << 20)
    made = ["tar", "-C", tmp_path, "--sparse", version, "-cf", "-", "s"]
    made += [] if "gnu" in version else ["--format=posix"]
    root = imported(images, subprocess.run(made, capture_output=True, check=True).stdout)
    assert (root / "s").read_bytes() == (tmp_path / "s").read_bytes()
    assert (root / "s").stat().st_blocks * 512 < 1 << 20


def test_long_names_of_both_formats(images: Path, tmp_path: Path) -> None:
    name = "n" * 200 + "/" + "m" * 250
    (tmp_path / "t" / name).parent.mkdir(parents=True)
    (tmp_path / "t" / name).write_text("long")
    for form in ("gnu", "posix"):
        made = ["tar", "-C", tmp_path / "t", f"--format={form}", "-cf", "-", "."]
        root = imported(images, subprocess.run(made, capture_output=True, check=True).stdout)
        assert (root / name).read_text() == "long"
