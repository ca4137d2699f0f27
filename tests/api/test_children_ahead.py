"""Children made ahead (keeper/stock.py): a container from the stock is like any other, and never out of date.

So are the directories that are made ahead (engine/containers/directories_ahead.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import CGROUPS, READY_WITHIN, Daemon, children
from helpers.mortal import until

from pysup.supervisor.engine.containers.directories_ahead import AHEAD

pytestmark = pytest.mark.kernel

VERSION_1 = (CGROUPS / "pids").is_dir()
SEES = """
cut -d' ' -f5- /proc/self/mountinfo | grep -v ^/etc | sed 's/ - overlay.*//'
stat -c '%n %F %A %u %g %t %T' /dev/* /proc /sys
ls /sys/class/net /proc /proc/self/fd | grep -v '^[0-9]'
grep -E '^(Sig[^Q]|Cap|NoNew|Seccomp|Groups|Uid)' /proc/self/status
hostname; id; umask; ulimit -a; cut -d: -f2- /proc/1/cgroup; cat /proc/1/oom_score_adj; readlink /dev/fd /dev/ptmx
"""


class Stocked(Daemon):
    """A daemon whose spare children can be counted."""

    def spares(self) -> set[int]:
        """Children of the keeper that are neither the engine nor a container's."""
        running = {container["pid"] for container in self.rows("select pid from container")}
        return set(children(self.pid)) - {self.engine_pid} - running

    def rows(self, sql: str) -> list[dict[str, int]]:
        found: list[dict[str, int]] = json.loads(self.pysup("query", "--json", sql, check=True).stdout)
        return found

    def directories(self) -> set[str]:
        """What lies where the containers' directories do, and is no container's."""
        return {path.name for path in (self.root / "containers").iterdir() if path.name.startswith(".")}

    def stocked(self) -> set[int]:
        """Wait until the shelves are full: three children for each of two stages; none on cgroup v2."""
        until(lambda: len(self.spares()) == (6 if VERSION_1 else 0), "children ahead")
        return self.spares()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stocked]:
    with Stocked(tmp_path_factory.mktemp("daemon")) as started:
        yield started


def pid_of(daemon: Daemon, name: str) -> int:
    return int(daemon.pysup("inspect", "-f", "{{.State.Pid}}", name, check=True).stdout)


def test_a_container_is_taken_from_the_stock(daemon: Stocked) -> None:
    before = daemon.stocked()
    daemon.pysup("run", "-d", "--name", "taken", "host", "sleep", "1000", check=True)
    assert (pid_of(daemon, "taken") in before) is VERSION_1
    daemon.stocked()
    daemon.pysup("kill", "taken", check=True)
    daemon.pysup("start", "taken", check=True)
    first = pid_of(daemon, "taken")
    daemon.stocked()
    daemon.pysup("restart", "-t", "0", "taken", check=True)
    assert pid_of(daemon, "taken") != first
    daemon.pysup("rm", "-f", "taken", check=True)


def test_children_are_copies_of_the_keeper_alone(daemon: Stocked) -> None:
    """The command by which it was begun had more in memory: compression, for one."""
    libraries = Path(f"/proc/{daemon.pid}/maps").read_text()
    assert "/_ctypes." in libraries
    assert "/_bz2." not in libraries


def seen(daemon: Stocked, *flags: str) -> list[str]:
    """What a container finds in its root, its /proc and about itself."""
    daemon.stocked()
    done = daemon.pysup("run", "--rm", "--hostname", "box", *flags, "host", "sh", "-c", SEES)
    assert not done.stderr, done
    return sorted(done.stdout.splitlines())


def test_it_is_like_one_that_was_made_for_its_container(daemon: Stocked) -> None:
    """A sysctl must be set before /proc/sys is read-only: its container cannot come from the stock."""
    one, other = seen(daemon), seen(daemon, "--sysctl", "net.ipv4.ip_forward=0")
    assert len(one) > 80
    assert one == other


def test_a_restart_keeps_its_network(daemon: Stocked) -> None:
    """/sys shows the network that was held, not one that a spare child brought."""
    script = "readlink /proc/self/ns/net; ls /sys/class/net"
    daemon.pysup("create", "--name", "net", "host", "sh", "-c", script, check=True)
    for _round in range(3):
        daemon.stocked()
        daemon.pysup("start", "-a", "net", check=True)
    lines = daemon.pysup("logs", "net", check=True).stdout.splitlines()
    assert len(lines) == 9 and lines[1::3] == ["eth0"] * 3 and lines[2::3] == ["lo"] * 3
    daemon.pysup("rm", "net", check=True)


def test_a_mount_of_the_host_is_seen_at_once(daemon: Stocked, tmp_path: Path) -> None:
    daemon.stocked()
    inside = ["nsenter", "-t", str(daemon.pid), "-m"]
    subprocess.run([*inside, "mount", "-t", "tmpfs", "new", tmp_path], check=True)
    try:
        subprocess.run([*inside, "sh", "-c", f"echo new > {tmp_path}/file"], check=True)
        done = daemon.pysup("run", "--rm", "-v", f"{tmp_path}:/data", "host", "cat", "/data/file")
        assert done.stdout == "new\n", done
    finally:
        subprocess.run([*inside, "umount", tmp_path], check=True)
    until(lambda: not any(sees(pid, tmp_path) for pid in daemon.stocked()), "children without the mount")


def sees(pid: int, place: Path) -> bool:
    """Whether it has a mount there; one that is gone has none."""
    with contextlib.suppress(OSError):
        return str(place) in Path(f"/proc/{pid}/mounts").read_text()
    return False


def test_a_row_that_is_refused_leaves_no_child(daemon: Stocked) -> None:
    daemon.pysup("run", "-d", "--name", "taken", "host", "sleep", "1000", check=True)
    daemon.stocked()
    assert daemon.pysup("run", "--rm", "--name", "taken", "host", "true").returncode == 125
    daemon.stocked()
    assert len(daemon.cgroups()) == 1
    daemon.pysup("rm", "-f", "taken", check=True)


def has_come(pid: int) -> bool:
    """A child that was taken has its container's pipes; what it does first is to join its cgroups."""
    with contextlib.suppress(FileNotFoundError):
        return os.readlink(f"/proc/{pid}/fd/1").startswith("pipe:")
    return False


@contextlib.contextmanager
def uncommitted(daemon: Stocked) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A start whose row waits to be committed while the block lasts, and its child."""
    daemon.pysup("create", "--rm", "--name", "early", "host", "echo", "there", check=True)
    spares = daemon.stocked()
    with contextlib.closing(sqlite3.connect(daemon.root / "pysup.db", isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        command = daemon.command("start", "-a", "early")
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        until(lambda: len(daemon.cgroups()) == 1, "its cgroup")
        until(lambda: any(map(has_come, spares)) is VERSION_1, "its child")
        yield started, set(filter(has_come, spares))


def test_a_child_comes_before_the_row_is_there_and_waits_for_it(daemon: Stocked) -> None:
    with uncommitted(daemon) as (started, taken):
        (name,) = daemon.cgroups()
        assert not any(name in Path(f"/proc/{pid}/cgroup").read_text() for pid in taken)
        assert started.poll() is None
    assert started.communicate()[0] == "there\n"


def test_a_child_whose_engine_dies_before_the_row_is_there_is_forgotten(daemon: Stocked) -> None:
    with uncommitted(daemon) as (started, taken):
        pidfds = [os.pidfd_open(pid) for pid in taken]
        os.kill(daemon.engine_pid, signal.SIGKILL)
        for pidfd in pidfds:
            assert select.select([pidfd], [], [], READY_WITHIN)[0]
            os.close(pidfd)
    started.communicate()
    daemon.pysup("rm", "-f", "early")
    assert daemon.pysup("ps", "-aq", check=True).stdout == ""
    daemon.stocked()
    assert daemon.cgroups() == set()


def test_spare_children_that_were_killed_do_no_harm(daemon: Stocked) -> None:
    pidfds = [os.pidfd_open(pid) for pid in daemon.stocked()]
    for pidfd in pidfds:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], READY_WITHIN)[0], "one does not end"
        os.close(pidfd)
    done = daemon.pysup("run", "--rm", "host", "echo", "there")
    assert (done.returncode, done.stdout, done.stderr) == (0, "there\n", "")


@pytest.mark.skipif(not VERSION_1, reason="there are none on cgroup v2")
def test_a_spare_child_that_was_killed_is_replaced_before_anybody_wants_it(daemon: Stocked) -> None:
    victims = set(sorted(daemon.stocked())[:2])
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    until(lambda: not daemon.spares() & victims, "the keeper's notice")
    assert daemon.stocked().isdisjoint(victims)


def test_directories_that_were_made_ahead_are_taken_and_made_anew(daemon: Stocked) -> None:
    until(lambda: len(daemon.directories()) == AHEAD, "directories ahead")
    before = {path.stat().st_ino for path in (daemon.root / "containers").iterdir()}
    made = daemon.pysup("create", "host", "true", check=True).stdout.strip()
    assert (daemon.root / "containers" / made).stat().st_ino in before
    until(lambda: len(daemon.directories()) == AHEAD, "directories ahead")
    daemon.pysup("rm", made, check=True)


def test_directories_of_a_killed_engine_go_with_the_next(daemon: Stocked) -> None:
    until(lambda: len(daemon.directories()) == AHEAD, "directories ahead")
    before, engine = daemon.directories(), daemon.engine_pid
    os.kill(engine, signal.SIGKILL)
    until(lambda: len(daemon.directories() - before) == AHEAD, "new ones")
    assert not daemon.directories() & before


def test_they_end_with_the_daemon(tmp_path: Path) -> None:
    with Stocked(tmp_path) as daemon:
        pidfds = [os.pidfd_open(pid) for pid in daemon.stocked()]
    for pidfd in pidfds:
        try:
            signal.pidfd_send_signal(pidfd, 0)
        except ProcessLookupError:
            continue
        finally:
            os.close(pidfd)
        raise AssertionError("a spare child outlives its keeper")
    assert daemon.directories() == set()
