"""An empty volume begins with what the image has: all of it, nothing else, and wholly or not at all."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import pytest

from pysup.supervisor.spec.id_maps import IdMap
from pysup.supervisor.volumes import directories, filling
from pysup.supervisor.volumes.copying import Owners
from pysup.supervisor.volumes.filling import Image, fill, finish, host_place, own_place

pytestmark = pytest.mark.kernel

SELF = Owners()


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """The directory of all volumes, with an empty one named data."""
    directories.prepare(str(tmp_path / "volumes"))
    directories.make(str(tmp_path / "volumes"), "data")
    return tmp_path / "volumes"


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """An image, beside a file that is none of its."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "secret").write_text("the host's")
    (tmp_path / "image" / "srv" / "deep").mkdir(parents=True)
    (tmp_path / "image" / "srv" / "deep" / "file").write_text("content")
    yield tmp_path / "image"
    assert [path.name for path in (tmp_path / "victim").iterdir()] == ["secret"]


def copied(
    volumes: Path, image: Path, path: str, owners: Owners = SELF, hidden: tuple[str, ...] = ()
) -> Path:
    """The volume, once the image's directory was copied into it."""
    root = os.open(image, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fill(own_place(str(volumes), "data"), Image(root, hidden), path, owners)
    finally:
        os.close(root)
    assert [one.name for one in (volumes / "data").iterdir()] == ["_data"], "nothing stays beside the content"
    return volumes / "data" / "_data"


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


# -- as it is ------------------------------------------------------------------------------------------------


def test_all_that_a_file_can_have_is_copied(volumes: Path, image: Path) -> None:
    top, file = image / "srv", image / "srv" / "deep" / "file"
    os.link(file, top / "second")
    os.symlink("/etc/passwd", top / "link")
    os.chown(top / "link", 5, 6, follow_symlinks=False)
    os.mkfifo(top / "fifo", 0o640)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "gone", stat.S_IFCHR, os.makedev(0, 0))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
    os.setxattr(file, "user.note", b"kept")
    os.setxattr(file, "trusted.overlay.origin", b"not kept")
    os.chown(file, 33, 44)
    file.chmod(0o4755)
    os.chown(top, 12, 34)
    top.chmod(0o2750)
    for path in (file, top / "deep", top):
        os.utime(path, ns=(1_000_000_001, 2_000_000_002))
    data = copied(volumes, image, "/srv")
    assert names(data) == ["deep", "deep/file", "fifo", "link", "null", "second", "socket"], "no whiteout"
    for name in ("", "deep", "deep/file", "fifo", "link", "null", "socket"):
        ours, theirs = os.lstat(data / name), os.lstat(top / name)
        for field in ("st_mode", "st_uid", "st_gid", "st_rdev", "st_mtime_ns"):
            assert getattr(ours, field) == getattr(theirs, field), (name, field)
    assert os.listxattr(data / "deep" / "file") == ["user.note"]
    assert os.readlink(data / "link") == "/etc/passwd"
    assert os.path.samefile(data / "second", data / "deep" / "file")


def test_holes_stay_holes(volumes: Path, image: Path) -> None:
    with open(image / "srv" / "sparse", "wb") as file:
        file.seek(8 << 20)
        file.write(b"middle")
        file.truncate(16 << 20)
    data = copied(volumes, image, "/srv")
    found = (data / "sparse").stat()
    assert (found.st_size, found.st_blocks * 512 < 1 << 20) == (16 << 20, True)
    assert (data / "sparse").read_bytes() == (image / "srv" / "sparse").read_bytes()


def test_a_deep_tree_needs_no_stack(volumes: Path, image: Path) -> None:
    path = "d/" * 1500
    subprocess.run(["mkdir", "-p", image / "srv" / path], check=True)
    data = copied(volumes, image, "/srv")
    try:
        assert os.path.isdir(f"{data}/{path}")
    finally:  # pytest's own clean-up would need a stack for it
        subprocess.run(["rm", "-rf", image / "srv" / "d", data / "d"], check=True)


def test_a_volume_with_something_in_it_stays_as_it_is(volumes: Path, image: Path) -> None:
    (volumes / "data" / "_data" / "mine").touch()
    assert names(copied(volumes, image, "/srv")) == ["mine"]


def test_owners_are_those_of_the_containers_user_namespace(volumes: Path, image: Path) -> None:
    os.chown(image / "srv" / "deep" / "file", 7, 70_000)
    owners = Owners((IdMap(0, 100_000, 65_536),), (IdMap(0, 200_000, 65_536),))
    data = copied(volumes, image, "/srv", owners)
    assert (data.stat().st_uid, data.stat().st_gid) == (100_000, 200_000)
    file = (data / "deep" / "file").stat()
    assert (file.st_uid, file.st_gid) == (100_007, 70_000), "an id that is in no map stays"


def test_an_empty_volume_belongs_to_the_containers_root(volumes: Path, image: Path) -> None:
    data = copied(volumes, image, "/nowhere", Owners((IdMap(0, 100_000, 1),), (IdMap(0, 100_000, 1),)))
    assert (data.stat().st_uid, names(data)) == (100_000, [])


# -- nothing else --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/", "../../../..", "/victim", "../victim", "/proc/self/root", "."])
def test_a_link_leads_to_nothing_of_the_host(volumes: Path, image: Path, target: str) -> None:
    os.symlink(target, image / "link")
    assert names(copied(volumes, image, "/link")) == []


def test_a_link_leads_to_another_place_in_the_image(volumes: Path, image: Path) -> None:
    os.symlink("/../../srv", image / "link")
    assert names(copied(volumes, image, "/link")) == ["deep", "deep/file"]


def test_links_inside_are_copied_and_not_followed(volumes: Path, image: Path) -> None:
    os.symlink(image.parent / "victim", image / "srv" / "link")
    data = copied(volumes, image, "/srv")
    assert (data / "link").is_symlink()
    assert names(data) == ["deep", "deep/file", "link"]


def test_what_pysup_keeps_is_no_part_of_an_image(volumes: Path, image: Path) -> None:
    """The host image, and --rootfs, can hold the daemon's own directories."""
    hidden = (str(image / "srv" / "deep"),)
    assert names(copied(volumes, image, "/srv", hidden=hidden)) == []
    (volumes / "data" / "_data").chmod(0o755)
    assert names(copied(volumes, image, "/srv/deep", hidden=hidden)) == []


def test_another_file_system_is_no_part_of_an_image(volumes: Path, image: Path) -> None:
    script = (
        "import os, sys; from pysup.supervisor.volumes.copying import Owners;"
        "from pysup.supervisor.volumes.filling import Image, fill, own_place;"
        "root = os.open(sys.argv[2], os.O_RDONLY);"
        "fill(own_place(sys.argv[1], 'data'), Image(root), sys.argv[3], Owners())"
    )
    mounted = (
        f"mount -t tmpfs none {image}/srv/deep && touch {image}/srv/deep/x && exec "
        f'{sys.executable} -c "{script}" {volumes} {image}'
    )
    for path in ("/srv/deep", "/srv"):
        unshared = ["unshare", "-m", "--propagation", "private", "sh", "-c", f"{mounted} {path}"]
        subprocess.run(unshared, check=True)
        assert names(volumes / "data" / "_data") == []


# -- wholly or not at all ------------------------------------------------------------------------------------


def killed_at(line: int, work: Callable[[], None], *modules: Any) -> bool:
    """Do it in a child that is killed at the n-th line of these modules; False: it ended before."""
    files = {module.__file__ for module in modules}
    child = os.fork()
    if child == 0:
        left = line

        def trace(frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal left
            if frame.f_code.co_filename not in files:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os._exit(9)
            return trace

        sys.settrace(trace)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 9)
    return os.waitstatus_to_exitcode(status) == 9


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory of volumes where nothing waits for a disk: it is synced a hundred times."""
    with TemporaryDirectory(dir="/dev/shm") as directory:
        directories.make(directory, "data")
        yield Path(directory)


@pytest.mark.parametrize("kind", ["own", "host"])
def test_a_copy_that_is_cut_off_anywhere_is_whole_or_nothing(in_memory: Path, image: Path, kind: str) -> None:
    volumes = in_memory
    data = volumes / "data" / "_data"
    place = own_place(str(volumes), "data") if kind == "own" else host_place(str(data), "data")
    (image / "srv" / "other").write_text("more")
    root = os.open(image, os.O_RDONLY | os.O_DIRECTORY)
    whole, seen, line = ["deep", "deep/file", "other"], set(), 0

    def work() -> None:
        fill(place, Image(root), "/srv", SELF)

    while killed_at(line, work, filling):
        finish(place)
        found = names(data)
        assert found in ([], whole), line
        assert [path.name for path in (volumes / "data").iterdir()] == ["_data"], line
        seen.add(len(found))
        subprocess.run(["rm", "-rf", volumes / "data"], check=True)
        directories.make(str(volumes), "data")
        line += 1
    os.close(root)
    assert (seen, line > 20) == ({0, 3}, True)


def test_what_somebody_writes_meanwhile_stays(volumes: Path, image: Path) -> None:
    """A container that runs has the same empty volume: its file is kept, and its mount stays the volume."""
    data = volumes / "data" / "_data"
    before = data.stat().st_ino
    copy = volumes / "data" / "_copy"
    (copy / "srv").mkdir(parents=True)
    (copy / "mine").write_text("the image's")
    (data / "mine").write_text("the container's")
    finish(own_place(str(volumes), "data"))
    assert ((data / "mine").read_text(), names(data)) == ("the container's", ["mine", "srv"])
    assert data.stat().st_ino == before


def test_making_a_volume_that_is_cut_off_leaves_a_whole_one_or_a_leftover(in_memory: Path) -> None:
    volumes = in_memory
    line = 0
    while killed_at(line, lambda: directories.make(str(volumes), "more"), directories):
        line += 1
        for path in directories.leftovers(str(volumes), {"data", "more"}):
            assert Path(path).name.startswith(".")
            subprocess.run(["rm", "-rf", path], check=True)
        if (volumes / "more").exists():
            assert names(volumes / "more") == ["_data"]
            subprocess.run(["rm", "-rf", volumes / "more"], check=True)
    assert line > 5
