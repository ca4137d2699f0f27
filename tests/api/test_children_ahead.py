"""Children made ahead (keeper/stock.py): a container from the stock is like any other, and never out of date."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import CGROUPS, Daemon, children
from helpers.mortal import until

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
    assert not any(str(tmp_path) in Path(f"/proc/{pid}/mounts").read_text() for pid in daemon.stocked())


def test_spare_children_that_were_killed_do_no_harm(daemon: Stocked) -> None:
    for pid in daemon.stocked():
        os.kill(pid, signal.SIGKILL)
    done = daemon.pysup("run", "--rm", "host", "echo", "there")
    assert (done.returncode, done.stdout, done.stderr) == (0, "there\n", "")


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
