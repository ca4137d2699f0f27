"""A file system under --root that cannot hold what containers write is named: at the start, in info, by each start."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

FILE_SYSTEMS = Path("/proc/filesystems").read_text()


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[Path]:
    """The kernel takes no overlay as the upper layer of another one."""
    lower, upper, work, merged = (tmp_path / name for name in ("lower", "upper", "work", "merged"))
    for path in (lower, upper, work, merged):
        path.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    yield merged
    subprocess.run(["umount", merged], check=True)


def test_a_file_system_that_holds_no_write_layer_is_named(overlay: Path) -> None:
    with Daemon(overlay) as daemon:
        cause = (
            f"the file system under --root {daemon.root} (overlay) cannot hold the upper layer of an overlay"
        )
        assert f"ERROR cannot start containers: {cause}" in daemon.log.read_text()
        done = daemon.pysup("run", "--rm", "--name", "one", "--network", "none", "host", "true")
        assert done.stderr == f"pysup: cannot start container one: overlay: {cause}\n"
        assert done.returncode == 125
        shown = daemon.pysup("info", check=True)
        assert f"write layers: no: containers cannot start: {cause}" in shown.stdout
        assert f"WARNING: containers cannot start: {cause}" in shown.stderr
        assert daemon.pysup("ps", "-aq", check=True).stdout == ""


@pytest.fixture
def vfat(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """What is in it has the mode that it was mounted with: the parameter."""
    image, mounted = tmp_path / "image", tmp_path / "vfat"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    mounted.mkdir()
    subprocess.run(["mkfs.vfat", image], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mount", "-o", f"loop,{request.param}", image, mounted], check=True)
    yield mounted
    subprocess.run(["umount", mounted], check=True)


@pytest.mark.vm
@pytest.mark.skipif("\tvfat\n" not in FILE_SYSTEMS, reason="this kernel has no vfat: the guest's has")
@pytest.mark.parametrize("vfat", ["umask=022"], indirect=True)
def test_one_that_keeps_no_permissions_is_refused(vfat: Path) -> None:
    """Everybody could read the store."""
    other = Daemon(vfat)
    done = other.pysup("daemon")
    assert done.returncode == 1, done
    cause = f"{other.root}: its file system keeps no permissions: it stays open to others (mode 755)"
    assert done.stderr == f"pysup: cannot start the daemon: {cause}\n"
    assert list(vfat.iterdir()) == []


@pytest.mark.vm
@pytest.mark.skipif("\tvfat\n" not in FILE_SYSTEMS, reason="this kernel has no vfat: the guest's has")
@pytest.mark.parametrize("vfat", ["umask=077"], indirect=True)
def test_one_that_is_closed_to_others_holds_the_store_and_no_container(vfat: Path) -> None:
    with Daemon(vfat) as daemon:
        done = daemon.pysup("run", "--rm", "--name", "one", "--network", "none", "host", "true")
        assert "(vfat) cannot hold the upper layer of an overlay" in done.stderr
        assert done.returncode == 125


def test_one_that_does_is_named_too(daemon: Daemon) -> None:
    shown = daemon.pysup("info", check=True)
    assert "  write layers: yes (" in shown.stdout
    assert "cannot start" not in shown.stderr
