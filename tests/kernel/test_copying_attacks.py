"""Names that are exchanged while files are copied: whoever wins a race gains nothing.

CVE-2018-15664: a component of the path becomes a link; CVE-2019-14271 is held by nothing being loaded in a root.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.images import DIRECTORY, layer

from pysup.supervisor.images.archiving import Archiver
from pysup.supervisor.images.extracting import Manner, extract
from pysup.supervisor.images.tar_stream import BadArchive
from pysup.supervisor.runtime import inside
from pysup.supervisor.runtime.walking import open_regular
from pysup.supervisor.volumes.copying import Owners

pytestmark = pytest.mark.kernel

ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "300"))
SWAP = """
import os, sys
for _ in range(10**9):
    for name in sys.argv[2:]:
        os.rename(f"{sys.argv[1]}/{name}", f"{sys.argv[1]}/away")
        os.rename(f"{sys.argv[1]}/{name}-other", f"{sys.argv[1]}/{name}")
        os.rename(f"{sys.argv[1]}/away", f"{sys.argv[1]}/{name}-other")
"""


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host's, which stays as it is."""
    directory = tmp_path / "victim"
    directory.mkdir()
    (directory / "file").write_text("the host's")
    before = (directory / "file").stat()
    yield directory
    after = (directory / "file").stat()
    for name in ("st_ino", "st_mode", "st_uid", "st_gid", "st_nlink", "st_mtime_ns", "st_ctime_ns"):
        assert getattr(after, name) == getattr(before, name), name
    assert (directory / "file").read_text() == "the host's"
    assert os.listdir(directory) == ["file"]


@pytest.fixture
def root(tmp_path: Path, victim: Path) -> Path:
    """A container's root, in which ``swap`` is a directory at one moment and a link to the host's at the next."""
    directory = tmp_path / "root"
    (directory / "swap").mkdir(parents=True)
    (directory / "swap" / "file").write_text("inside")
    os.symlink(victim, directory / "swap-other")
    return directory


@contextlib.contextmanager
def swapping(directory: Path, *names: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", SWAP, directory, *names], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def archived(top: int, path: str) -> bytes:
    found = inside.locate(top, path)
    try:
        target = io.BytesIO()
        archiver = Archiver(target.write, Owners())
        archiver.add_located(found.fd, found.name)
        archiver.finish()
        return target.getvalue()
    finally:
        os.close(found.fd)


def test_reading_never_leaves_the_root(root: Path, victim: Path) -> None:
    seen = 0
    with opened(root) as top, swapping(root, "swap"):
        for number in range(ROUNDS):
            path = ("/swap/file", "/swap/", "/swap", "/", "swap/../swap/file")[number % 5]
            with contextlib.suppress(OSError):
                content = archived(top, path)
                assert b"the host's" not in content
                seen += b"inside" in content
            assert not inside.link_target(top, "/swap").startswith("/proc")
    assert seen > 0


def test_writing_never_leaves_the_root(root: Path, victim: Path) -> None:
    """``file`` is replaced in whatever ``swap`` is; so would be the host's, and get another owner and mode."""
    content = layer(
        ("swap", {**DIRECTORY, "mode": 0o777, "uid": 5}, b""), ("swap/file", {"mode": 0o4777, "uid": 5}, b"written"),
        ("swap/new", {}, b""), ("swap/link", {"type": tarfile.SYMTYPE, "linkname": "file"}, b""),
        ("swap/hard", {"type": tarfile.LNKTYPE, "linkname": "swap/file"}, b""),
        ("swap/fifo", {"type": tarfile.FIFOTYPE, "mode": 0o666, "uid": 5}, b""),
    )  # fmt: skip
    implied = layer(("swap/deep/er/file", {}, b"written"))
    done = 0
    with opened(root) as top, swapping(root, "swap"):
        for number in range(ROUNDS):
            manner = Manner(owner=lambda member: (member.uid, member.gid), is_root=number % 2 == 0)
            archive = content if number % 3 else implied
            with contextlib.suppress(BadArchive, OSError), inside.directory(top, "/"):
                extract(io.BytesIO(archive), top, manner)
                done += 1
    assert done > 0


def test_a_file_that_becomes_a_device_is_not_opened(tmp_path: Path) -> None:
    """Opening a device acts (a watchdog bites), and a FIFO would wait for ever."""
    directory = tmp_path / "root"
    directory.mkdir()
    (directory / "file").write_text("inside")
    os.mkfifo(directory / "file-other")
    read = 0
    with opened(directory) as top, swapping(directory, "file"):
        for _ in range(ROUNDS):
            fd = open_regular("file", top)
            if fd is not None:
                assert os.read(fd, 10) == b"inside"
                os.close(fd)
                read += 1
            assert archived(top, "/")
    assert read > 0


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("../file", {}),
        ("a/../../file", {}),
        ("link/file", {}),
        ("hard", {"type": tarfile.LNKTYPE, "linkname": "../victim/file"}),
        ("hard", {"type": tarfile.LNKTYPE, "linkname": "link/file"}),
    ],
)
def test_an_archive_makes_nothing_outside(
    tmp_path: Path, victim: Path, name: str, fields: dict[str, object]
) -> None:
    """As what a container sends to ``pysup cp``, too."""
    (tmp_path / "target").mkdir()
    link = ("link", {"type": tarfile.SYMTYPE, "linkname": str(victim)}, b"")
    manner = Manner(owner=lambda _member: (os.geteuid(), os.getegid()), gives_powers=False, keeps_kinds=True)
    with opened(tmp_path / "target") as top, pytest.raises(BadArchive):
        extract(io.BytesIO(layer(link, (name, fields, b""))), top, manner)


def test_an_absolute_name_and_a_link_that_leads_up_stay_inside(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "target").mkdir()
    up = ("up", {"type": tarfile.SYMTYPE, "linkname": "../../../.."}, b"")
    archive = layer(("/etc/absolute", {}, b"x"), up, ("up/through", {}, b"x"))
    with opened(tmp_path / "target") as top:
        extract(io.BytesIO(archive), top, Manner(owner=lambda _member: (0, 0), is_root=True))
    assert sorted(os.listdir(tmp_path / "target")) == ["etc", "through", "up"]


def test_powers_are_given_only_to_whom_they_are_trusted(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    capability = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02" + "\x00" * 16}
    archive = layer(("file", {"mode": 0o6755, "pax_headers": capability}, b"x"))
    device = layer(("disk", {"type": tarfile.BLKTYPE, "devmajor": 8}, b""))
    manner = Manner(owner=lambda _member: (0, 0), gives_powers=False)
    with opened(tmp_path / "target") as top:
        extract(io.BytesIO(archive), top, manner)
        with pytest.raises(BadArchive, match="it is a device"):
            extract(io.BytesIO(device), top, manner)
    made = tmp_path / "target" / "file"
    assert (made.stat().st_mode & 0o7777, os.listxattr(made)) == (0o755, [])
    assert os.listdir(tmp_path / "target") == ["file"]
