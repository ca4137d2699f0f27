"""The host image shows what is mounted in the machine's root, as it is at each start, and changes none of it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.mortal import until

pytestmark = pytest.mark.kernel
BELOW = "/srv"


@pytest.fixture
def disk(daemon: Daemon, tmp_path: Path) -> Path:
    """A directory of the disk, mounted without set-uid programs where only the daemon sees it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "file").write_text("content\n")
    disk.chmod(0o711)
    mount(daemon, "mount", "--bind", str(disk), BELOW)
    mount(daemon, "mount", "-o", "remount,bind,nosuid", BELOW)
    return disk


def mount(daemon: Daemon, *command: str | bytes) -> None:
    subprocess.run(["nsenter", "--mount", "--target", str(daemon.pid), *command], check=True)


def shell(daemon: Daemon, script: str, *flags: str) -> str:
    done = daemon.pysup("run", "--rm", *flags, "host", "sh", "-ec", script)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("flags", [(), ("--uidmap", "0:100000:65536")], ids=["host", "mapped"])
def test_a_mount_is_shown_below_a_write_layer_of_its_own(
    daemon: Daemon, disk: Path, flags: tuple[str, ...]
) -> None:
    script = f"cat {BELOW}/file; stat -c %a {BELOW}; echo x > {BELOW}/new; grep ' {BELOW} ' /proc/mounts"
    content, mode, line = shell(daemon, script, *flags).splitlines()
    assert (content, mode) == ("content", "711")
    assert "nosuid" in line.split()[3].split(",")
    assert [path.name for path in disk.iterdir()] == ["file"]


def test_what_is_written_stays_with_the_container(daemon: Daemon, disk: Path) -> None:
    script = f"echo more >> {BELOW}/file; cat {BELOW}/file"
    daemon.pysup("run", "--name", "kept", "host", "sh", "-c", script, check=True)
    assert daemon.pysup("start", "-a", "kept").stdout == "content\nmore\nmore\n"
    assert (disk / "file").read_text() == "content\n"
    assert daemon.inspect("kept")["Name"] == "/kept"
    daemon.pysup("rm", "kept", check=True)


def test_each_start_sees_what_is_mounted_then(daemon: Daemon, disk: Path) -> None:
    assert disk.name not in shell(daemon, f"ls {BELOW}")
    mount(daemon, "umount", BELOW)
    assert "file" not in shell(daemon, f"ls {BELOW}").split()


@pytest.mark.parametrize("name", [b"a\rb", b"a\x0bb", "a\u2028b".encode(), b"M\xfcsik"])
def test_mounts_have_any_names(daemon: Daemon, disk: Path, tmp_path: Path, name: bytes) -> None:
    """A next engine starts with them, too, and tells what the machine can do."""
    os.mkdir(os.path.join(os.fsencode(disk), name))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("odd\n")
    mount(daemon, "mount", "--bind", str(tmp_path / "other"), os.path.join(os.fsencode(BELOW), name))
    assert shell(daemon, f"cat {BELOW}/[aM]*/file") == "odd\n"
    before = daemon.engine_pid
    os.kill(before, signal.SIGKILL)
    until(lambda: daemon.pysup("info").returncode == 0 and daemon.engine_pid != before, "its answer")
    assert shell(daemon, f"cat {BELOW}/[aM]*/file") == "odd\n"


def test_the_daemon_s_state_is_not_shown_in_a_second_place(daemon: Daemon) -> None:
    mount(daemon, "mount", "--bind", str(daemon.root), BELOW)
    assert "pysup.db" not in shell(daemon, f"ls -A {BELOW}")
