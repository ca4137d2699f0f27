"""A write layer as a layer: the archive says all, and the directory is what unpacking the archive would give."""

from __future__ import annotations

import gzip
import io
import os
import socket
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.images import layers
from pysup.supervisor.images.content import Content
from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.unpack import unpack
from pysup.supervisor.images.write_layers import Rules, Stage, Written
from pysup.supervisor.spec.id_maps import IdMap
from pysup.supervisor.volumes.copying import Owners

pytestmark = pytest.mark.kernel

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service+ep without a namespace's root (struct vfs_cap_data)."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """An empty images directory."""
    layers.make_directories(str(tmp_path / "images"))
    return tmp_path / "images"


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    """An empty write layer."""
    (tmp_path / "upper").mkdir()
    return tmp_path / "upper"


def written(images: Path, upper: Path, rules: Rules | None = None, *, move: bool = False) -> Written | None:
    stage = Stage(str(images))
    try:
        (stage.move if move else stage.copy)(str(upper))
        return stage.finish(Content(str(images)), rules or Rules(), lambda _name: None)
    finally:
        stage.discard()
        assert os.listdir(images / "tmp") == []


def archive_of(images: Path, found: Written) -> bytes:
    blob = Content(str(images)).read(found.blob.digest, 1 << 30)
    plain = gzip.decompress(blob)
    assert (digest_of(plain), len(blob)) == (found.layer.diff_id, found.blob.size)
    assert found.media_type.endswith("+gzip")
    return plain


def tree(top: Path) -> dict[str, object]:
    """All that a layer's directory says."""
    found: dict[str, object] = {}
    inodes: dict[int, str] = {}
    for path in [top, *sorted(top.rglob("*"))]:
        status = path.lstat()
        whiteout = stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif path.is_symlink():
            content = os.readlink(path)
        name = str(path.relative_to(top))
        attributes = {key: os.getxattr(path, key, follow_symlinks=False)
                      for key in os.listxattr(path, follow_symlinks=False)}  # fmt: skip
        plain = (oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev)
        first = inodes.setdefault(status.st_ino, name) if stat.S_ISREG(status.st_mode) else name
        times = 0 if whiteout or path == top else status.st_mtime_ns
        found[name] = "whiteout" if whiteout else (plain, times, content, attributes, first)
    return found


def names_in(plain: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        return archive.getnames()


def unpacked(plain: bytes, target: Path) -> Path:
    target.mkdir(mode=0o755)
    fd = os.open(target, os.O_RDONLY)
    try:
        unpack(io.BytesIO(plain), fd)
    finally:
        os.close(fd)
    return target


def everything(upper: Path) -> None:
    """One of each."""
    (upper / "dir" / "opaque").mkdir(parents=True)
    os.setxattr(upper / "dir" / "opaque", "trusted.overlay.opaque", b"y")
    os.setxattr(upper / "dir", "trusted.overlay.impure", b"y")
    file = upper / "dir" / "file"
    file.write_bytes(b"content")
    os.chown(file, 1000, 2000)
    os.setxattr(file, "user.note", b"kept\xff")
    os.setxattr(file, "trusted.note", b"of no layer")
    os.setxattr(file, "security.capability", CAPABILITY)
    file.chmod(0o4755)
    os.link(file, upper / "second")
    os.utime(file, ns=(1, 1_234_567_890_123_456_789))
    os.symlink("/etc/passwd", upper / "link")
    os.mkfifo(upper / "fifo", 0o640)
    os.mknod(upper / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(upper / "gone", stat.S_IFCHR, os.makedev(0, 0))
    (upper / "empty").touch()
    (upper / ("n" * 120)).mkdir()
    (upper / ("n" * 120) / ("m" * 200)).write_text("long")
    (Path(os.fsdecode(os.fsencode(upper) + b"/\xff\xfe"))).write_text("not UTF-8")
    os.chown(upper / "empty", 3_000_000_000, 3_000_000_001)
    os.utime(upper / "empty", ns=(0, -5_500_000_000))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(upper / "socket"))
    upper.chmod(0o700)


def test_the_directory_is_what_the_archive_says(images: Path, upper: Path, tmp_path: Path) -> None:
    everything(upper)
    found = written(images, upper)
    assert found is not None
    plain = archive_of(images, found)
    directory = images / "layers" / found.layer.name
    assert tree(directory) == tree(unpacked(plain, tmp_path / "again"))
    assert os.getxattr(directory / "second", "security.capability") == CAPABILITY
    assert (upper / "socket").exists() and not (directory / "socket").exists()
    assert found.layer.size == layers.existing(str(images), found.layer.diff_id).size  # type: ignore[union-attr]


def test_the_archive_is_one_of_other_tools(images: Path, upper: Path, tmp_path: Path) -> None:
    everything(upper)
    found = written(images, upper)
    assert found is not None
    plain = archive_of(images, found)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        entries = {entry.name: entry for entry in archive}
    assert entries[".wh.gone"].isreg() and entries["dir/opaque/.wh..wh..opq"].isreg()
    assert "socket" not in entries and "." not in entries
    assert {entries["second"].islnk(), entries["dir/file"].islnk()} == {True, False}
    assert (entries["empty"].uid, entries["empty"].mtime) == (3_000_000_000, -6)
    done = subprocess.run(["tar", "tv"], input=plain, capture_output=True, check=True)
    assert set(done.stderr.splitlines()) <= {b"tar: Ignoring unknown extended header keyword 'hdrcharset'"}


def test_taking_the_layer_itself_gives_the_same(images: Path, upper: Path, tmp_path: Path) -> None:
    everything(upper)
    copied = written(images, upper)
    assert written(images, upper, move=True) == copied
    assert not upper.exists()


def test_holes_are_holes(images: Path, upper: Path, tmp_path: Path) -> None:
    with (upper / "sparse").open("wb") as file:
        for place in (3 << 20, 1 << 30, 5 << 30):
            file.seek(place)
            file.write(b"data")
        file.truncate(6 << 30)
    os.setxattr(upper / "sparse", "user.note", b"kept")
    found = written(images, upper)
    assert found is not None
    plain = archive_of(images, found)
    assert len(plain) < 1 << 20
    again = unpacked(plain, tmp_path / "again") / "sparse"
    for one in (again, images / "layers" / found.layer.name / "sparse"):
        assert (one.stat().st_size, one.stat().st_blocks < 1000) == (6 << 30, True)
        assert os.getxattr(one, "user.note") == b"kept"
        with one.open("rb") as file:
            file.seek(1 << 30)
            assert file.read(5) == b"data\0"
    listed = subprocess.run(["tar", "tv"], input=plain, capture_output=True, check=True).stdout
    assert str(6 << 30).encode() in listed and listed.endswith(b"sparse\n")


def test_a_file_of_many_holes_has_a_map_of_bounded_size(images: Path, upper: Path) -> None:
    with (upper / "sieve").open("wb") as file:
        for place in range(10_000):
            file.seek(place * 12_288)
            file.write(b"x")
    found = written(images, upper)
    assert found is not None
    with tarfile.open(fileobj=io.BytesIO(archive_of(images, found))) as archive:
        (entry,) = archive
        content = archive.extractfile(entry)
        assert content is not None and content.read() == (upper / "sieve").read_bytes()


def test_nothing_written_is_no_layer(images: Path, upper: Path) -> None:
    assert written(images, upper) is None
    assert os.listdir(images / "blobs" / "sha256") == os.listdir(images / "layers") == []


def test_ids_are_those_that_the_container_sees(images: Path, upper: Path) -> None:
    """The capability is that of the namespace's root, by its id on the host (capabilities(7), VFS_CAP_REVISION_3)."""
    (upper / "program").write_text("")
    os.chown(upper / "program", 100_033, 200_044)
    of_namespace = bytes.fromhex("01000003") + CAPABILITY[4:] + (100_000).to_bytes(4, "little")
    os.setxattr(upper / "program", "security.capability", of_namespace)
    (upper / "program").chmod(0o6755)
    (upper / "opaque").mkdir()
    os.setxattr(upper / "opaque", "user.overlay.opaque", b"y")
    inside = Owners([IdMap(100_000, 0, 65_536)], [IdMap(200_000, 0, 65_536)])
    found = written(images, upper, Rules(owners=inside, to_users=True))
    assert found is not None
    program = images / "layers" / found.layer.name / "program"
    assert (program.stat().st_uid, program.stat().st_gid, stat.S_IMODE(program.stat().st_mode)) == (
        33,
        44,
        0o6755,
    )
    assert os.getxattr(program, "security.capability") == CAPABILITY
    assert os.getxattr(program.parent / "opaque", "trusted.overlay.opaque") == b"y"
    names = names_in(archive_of(images, found))
    assert names == ["opaque", "opaque/.wh..wh..opq", "program"]


def test_outside_of_user_namespaces_anybody_may_set_the_users_mark(images: Path, upper: Path) -> None:
    (upper / "plain").mkdir()
    os.setxattr(upper / "plain", "user.overlay.opaque", b"y")
    found = written(images, upper)
    assert found is not None
    assert names_in(archive_of(images, found)) == ["plain"]
    assert os.listxattr(images / "layers" / found.layer.name / "plain") == []


def test_a_name_that_means_something_else_in_a_layer_is_refused(images: Path, upper: Path) -> None:
    (upper / "etc").mkdir()
    (upper / "etc" / ".wh.passwd").touch()
    with pytest.raises(BadRequest, match=r"'etc/\.wh\.passwd' would hide another file"):
        written(images, upper)
    assert os.listdir(images / "blobs" / "sha256") == os.listdir(images / "layers") == []


def test_mount_targets_of_pysup_are_left_out_and_no_link_is_followed(
    images: Path, upper: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "hosts").touch()
    os.symlink(victim, upper / "etc")
    (upper / "proc").mkdir()
    (upper / "sys").mkdir()
    (upper / "sys" / "mine").touch()
    targets = frozenset({"/etc", "/etc/hosts", "/proc", "/sys"})
    found = written(images, upper, Rules(targets=targets))
    assert found is not None
    assert (victim / "hosts").exists()
    assert names_in(archive_of(images, found)) == [
        "etc",
        "sys",
        "sys/mine",
    ]


def test_a_deep_tree_needs_no_stack(images: Path, upper: Path) -> None:
    path = "d/" * 1500
    subprocess.run(["mkdir", "-p", upper / path], check=True)
    try:
        found = written(images, upper)
        assert found is not None and len(archive_of(images, found)) > 1500 * 512
    finally:
        subprocess.run(["rm", "-rf", upper / "d", *(images / "layers").iterdir()], check=True)
