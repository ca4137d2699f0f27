"""Hostile archives: an error that names the entry, or harmless inside; outside nothing is touched."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.images.layers import import_layer, make_directories, remove_layer

pytestmark = pytest.mark.kernel

Member = tuple[str, dict[str, object], bytes]


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


def archive(*members: Member) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def imported(images: Path, data: bytes) -> Path:
    layer = import_layer(io.BytesIO(data), str(images))
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


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_the_digest_is_that_of_the_plain_archive(images: Path, compress: Callable[[bytes], bytes]) -> None:
    data = archive(("f", {}, b"x" * 5000))
    root = imported(images, compress(data))
    assert root.name == hashlib.sha256(data).hexdigest()
    assert imported(images, compress(data)) == root, "the same layer again is the same layer"
    remove_layer(str(images), root.name)
    assert not root.exists()


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bytes])
@pytest.mark.parametrize("cut", [10, 600, 3000])
def test_half_an_archive_is_no_layer(images: Path, compress: Callable[[bytes], bytes], cut: int) -> None:
    data = compress(archive(("f", {}, os.urandom(20_000))))
    with pytest.raises(BadRequest, match="cannot unpack"):
        imported(images, data[:cut])
    assert list((images / "layers").iterdir()) == []


def test_zstandard_is_refused_by_name(images: Path) -> None:
    with pytest.raises(BadRequest, match="zstd"):
        imported(images, b"\x28\xb5\x2f\xfd" + bytes(100))
