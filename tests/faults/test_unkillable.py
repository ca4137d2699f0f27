"""Processes that not even SIGKILL ends, as they wait for a file server that does not answer: the daemon goes on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers import silent_fuse
from helpers.daemon import CGROUPS
from helpers.mortal import WITHIN, Mortal, until
from helpers.storage import rows

pytestmark = pytest.mark.kernel


@contextlib.contextmanager
def silent_server(mortal: Mortal, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A file server on a directory that the daemon sees; its end sets all free that wait for it.

    The daemon may end meanwhile: its mount namespace is held.
    """
    place.mkdir(parents=True)
    program = [sys.executable, "-P", str(silent_fuse.__file__), str(place)]
    with Path(f"/proc/{mortal.pid}/ns/mnt").open("rb") as seen:
        enter = ["nsenter", f"--mount=/proc/{os.getpid()}/fd/{seen.fileno()}"]
        with subprocess.Popen([*enter, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            try:
                assert server.stdout is not None and server.stdout.readline() == b"ready\n"
                yield server
            finally:
                server.communicate()
                subprocess.run([*enter, "umount", str(place)], check=True)


def waits(pid: int) -> bool:
    """Whether a process asks the server, which has read the question."""
    return "request_wait_answer" in Path(f"/proc/{pid}/wchan").read_text()


def state(mortal: Mortal) -> list[tuple[object, ...]]:
    return rows(mortal.root, "SELECT state, exit_code FROM container WHERE name = 'stuck'")


def test_a_container_that_cannot_be_killed_ends_nobody_else(mortal: Mortal, tmp_path: Path) -> None:
    """Neither the engine that tries, nor the next one, which finds it on its way to its end."""
    shown = tmp_path / "shown"
    with silent_server(mortal, shown / "mute"):
        words = ["--net", "none", "-v", f"{shown}:/x", "host", "cat", "/x/mute/file"]
        mortal.pysup("run", "-d", "--name", "stuck", *words, check=True)
        pid = mortal.inspect("stuck")["State"]["Pid"]
        until(lambda: waits(pid), "a question to the server")
        engine = mortal.engine
        stop = subprocess.Popen(mortal.command("stop", "-t", "0", "stuck"), stdout=subprocess.DEVNULL)
        until(lambda: "are still there" in mortal.log.read_text(), "its end by force was given up")
        assert mortal.engine == engine
        mortal.kill("engine")
        mortal.wait_until_it_serves()
        assert state(mortal) == [("stopping", None)]
        assert mortal.pysup("run", "--rm", "--net", "none", "host", "echo", "here").stdout == "here\n"
        os.kill(pid, 0)
    assert stop.wait(WITHIN) == 0
    assert state(mortal) == [("exited", 137)]
    mortal.pysup("rm", "stuck", check=True)


def test_a_container_that_cannot_be_killed_does_not_keep_the_daemon(mortal: Mortal, tmp_path: Path) -> None:
    """It leaves, and says so; the next one has lost the run, and what is left of it goes when it can."""
    shown = tmp_path / "shown"
    with silent_server(mortal, shown / "mute") as server:
        words = ["--net", "none", "--stop-timeout", "0", "-v", f"{shown}:/x", "host", "cat", "/x/mute/file"]
        mortal.pysup("run", "-d", "--name", "stuck", *words, check=True)
        pid = mortal.inspect("stuck")["State"]["Pid"]  # type: ignore[index]
        until(lambda: waits(pid), "a question to the server")
        assert mortal.stop() == 0
        told = mortal.log.read_text()
        assert "cannot stop container stuck: not even SIGKILL ends all its processes" in told
        assert "killing the engine" not in told
        os.kill(pid, 0)
        mortal.start()
        until(lambda: state(mortal) == [("exited", 255)], "the end that was lost")
        assert mortal.pysup("run", "--rm", "--net", "none", "host", "echo", "here").stdout == "here\n"
        server.communicate()
    until(lambda: not Path(f"/proc/{pid}").exists(), "its end, at last")
    mortal.pysup("rm", "stuck", check=True)
    mortal.kill("engine")
    mortal.wait_until_it_serves()
    assert mortal.cgroups() == set()


def test_what_a_crash_has_left_and_cannot_be_killed_keeps_no_daemon_down(
    mortal: Mortal, tmp_path: Path
) -> None:
    """Nor does an exec of a container that was removed, where its own end was not told any more."""
    name = "f" * 64
    mortal.pysup("run", "-d", "--name", "box", "--net", "none", "host", "sleep", "1000", check=True)
    mortal.pysup("exec", "box", "true", check=True)
    mortal.pysup("rm", "-f", "box", check=True)
    with silent_server(mortal, tmp_path / "mute") as server:
        parents = [*CGROUPS.glob(f"*/{mortal.cgroup}"), *CGROUPS.glob(mortal.cgroup)]
        joining = "".join(f"mkdir {path}/{name}; echo $$ >{path}/{name}/cgroup.procs; " for path in parents)
        asking = f"{joining} exec cat {tmp_path}/mute/file"
        enter = ["nsenter", "--target", str(mortal.pid), "--mount", "sh", "-c", asking]
        with subprocess.Popen(enter, stderr=subprocess.DEVNULL) as left:
            until(lambda: waits(left.pid), "a question to the server")
            with closing(sqlite3.connect(mortal.root / "pysup.db")) as conn, conn:
                conn.execute("UPDATE exec SET state = 'running', exit_code = NULL, ended_at = NULL")
            mortal.kill("engine")
            mortal.wait_until_it_serves()
            assert rows(mortal.root, "SELECT state, exit_code FROM exec") == [("exited", 255)]
            server.communicate()
    assert mortal.cgroups() == {name}
    mortal.kill("engine")
    mortal.wait_until_it_serves()
    assert mortal.cgroups() == set()


@pytest.mark.parametrize("asked", ["root", "bind"])
def test_what_lies_on_a_server_that_does_not_answer_keeps_nobody_else(
    mortal: Mortal, tmp_path: Path, asked: str
) -> None:
    mute = tmp_path / "mute"
    with silent_server(mortal, mute):
        shown = ["--mount", f"type=bind,source={mute}/file,target=/x", "host"]
        words = ["create", "--net", "none", *(["--rootfs", str(mute)] if asked == "root" else shown), "true"]
        with subprocess.Popen(mortal.command(*words), stderr=subprocess.DEVNULL) as create:
            threads = Path(f"/proc/{mortal.engine}/task")
            until(
                lambda: any("request_wait" in (one / "wchan").read_text() for one in threads.iterdir()),
                "a question",
            )
            assert mortal.pysup("run", "--rm", "--net", "none", "host", "echo", "here").stdout == "here\n"
            create.kill()


def test_a_container_whose_root_is_gone_can_be_removed_by_the_next_engine(
    mortal: Mortal, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    words = ["--net", "none", "--name", "rootless", "--rootfs", str(tmp_path / "link"), "true"]
    mortal.pysup("create", *words, check=True)
    assert mortal.inspect("rootless")["HostConfig"]["Pysup"]["Rootfs"] == str(tmp_path / "real")
    (tmp_path / "real").rmdir()
    mortal.kill("engine")
    mortal.wait_until_it_serves()
    started = mortal.pysup("start", "rootless")
    assert started.returncode != 0 and "no such file or directory" in started.stderr
    mortal.pysup("rm", "rootless", check=True)
