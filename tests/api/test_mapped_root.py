"""A container whose root is nobody on the host: what a mount needs is made for it, and never outside of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

MAPPED = ("--uidmap", "0:100000:65536")
BUSYBOX = "/bin/busybox"


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A layer that belongs to the host's root, with an /etc that has nothing in it."""
    for name in ("bin", "etc", "var"):
        (tmp_path / "rootfs" / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, tmp_path / "rootfs/bin/busybox")
    (tmp_path / "rootfs/bin/sh").symlink_to("busybox")
    return tmp_path / "rootfs"


def run(daemon: Daemon, rootfs: Path, *flags: str, script: str) -> tuple[int, str, str]:
    done = daemon.pysup("run", "--rm", *MAPPED, "--rootfs", str(rootfs), *flags, "sh", "-c", script)
    return done.returncode, done.stdout, done.stderr


def test_targets_that_the_layer_lacks_are_made(shared: Daemon, rootfs: Path, tmp_path: Path) -> None:
    flags = ("-h", "box", "-v", f"{tmp_path}/made/here:/var/a/b", "--tmpfs", "/var/t", "-w", "/var/work")
    script = "cat /etc/hostname; touch /var/a/b/file file; busybox stat -c %u /var/a . /var/work /etc"
    assert run(shared, rootfs, *flags, script=script) == (0, "box\n0\n0\n0\n0\n", "")
    owners = [os.stat(tmp_path / path).st_uid for path in ("made", "made/here", "made/here/file")]
    assert owners == [100000] * 3
    assert sorted(os.listdir(rootfs / "etc")) == sorted(os.listdir(rootfs / "var")) == []


def test_a_target_below_a_volume_is_made_in_the_volume(shared: Daemon, rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    flags = ("-v", f"{tmp_path}/volume:/var/v", "-v", f"{tmp_path}/inner:/var/v/deep/inner")
    assert run(shared, rootfs, *flags, script="touch /var/v/deep/inner/x") == (0, "", "")
    assert os.stat(tmp_path / "volume/deep/inner").st_uid == 100000
    assert (tmp_path / "inner/x").exists()


def test_links_of_a_layer_lead_nowhere_outside(shared: Daemon, rootfs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (rootfs / "etc").rmdir()
    (rootfs / "etc").symlink_to(outside)
    (rootfs / "var/up").symlink_to("../" * 40 + str(outside).lstrip("/"))
    flags = ("-v", f"{tmp_path}/made:{outside}/v", "--tmpfs", "/var/up/t", "-w", "/var/up/w")
    script = f"busybox ls {outside}; busybox ls {outside}/w"
    assert run(shared, rootfs, *flags, script=script) == (0, "hostname\nhosts\nresolv.conf\nt\nv\nw\n", "")
    assert os.listdir(outside) == []


def test_a_restart_finds_what_was_made(shared: Daemon, rootfs: Path) -> None:
    shared.pysup(
        "run",
        "--name",
        "again",
        *MAPPED,
        "-w",
        "/var/w",
        "--rootfs",
        str(rootfs),
        "sh",
        "-c",
        "pwd",
        check=True,
    )
    assert shared.pysup("start", "-a", "again").stdout == "/var/w\n"
    shared.pysup("rm", "again", check=True)


@pytest.mark.parametrize("target", ["/etc/passwd/x", "/bin/busybox/x"])
def test_errors_name_what_was_typed(shared: Daemon, rootfs: Path, tmp_path: Path, target: str) -> None:
    (rootfs / "etc/passwd").touch()
    code, _out, error = run(shared, rootfs, "-v", f"{tmp_path}:{target}", script="")
    assert code == 125
    assert f"bind {tmp_path} on {target}: " in error
    assert "@" not in error
