"""``pysup daemon --upgrade`` and its signals: both programs are executed anew, and no container notices."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.daemon import Daemon, children

from pysup.supervisor.keeper import handover

pytestmark = pytest.mark.kernel
BOUND = 60.0
COUNTER = "i=0; while [ ! -e /dev/shm/end ]; do echo $((i+=1)); sleep 0.01; done; exit 7"


def by_command(daemon: Daemon) -> None:
    told = daemon.pysup("daemon", "--upgrade", check=True).stdout
    assert told == f"pysup: the daemon (pid {daemon.pid}) executes its program anew\n"


def by_signal(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGHUP)


def engine(daemon: Daemon) -> int:
    """The engine's pid; 0 while there is none."""
    try:
        return daemon.engine_pid
    except AssertionError:
        return 0


def wait_for_another_engine(daemon: Daemon, before: int) -> None:
    deadline = time.monotonic() + BOUND
    while engine(daemon) in (0, before):  # nobody announces it to whoever did not start the daemon
        assert time.monotonic() < deadline, _what_it_does(daemon)
        select.select([], [], [], 0.02)


def _what_it_does(daemon: Daemon) -> str:
    """For whoever has to find out why: the log, and where in the kernel each of its processes is."""
    processes = [daemon.pid, *children(daemon.pid)]
    told = [
        f"{pid} {Path(f'/proc/{pid}/stat').read_text()[:40]} {Path(f'/proc/{pid}/wchan').read_text()}"
        for pid in processes
    ]
    return "\n".join([*told, daemon.log.read_text(errors="replace")[-2000:]])


@pytest.mark.parametrize("upgrade", [by_command, by_signal])
def test_containers_run_on(daemon: Daemon, upgrade: Callable[[Daemon], None]) -> None:
    daemon.pysup("run", "-d", "--name", "counter", "--restart", "on-failure:1", "host", "bash", "-c", COUNTER)
    before = daemon.inspect("counter")["State"]
    keeper, old = daemon.pid, daemon.engine_pid
    upgrade(daemon)
    wait_for_another_engine(daemon, old)
    assert daemon.inspect("counter")["State"] == before
    assert "--adopt-fd" in Path(f"/proc/{keeper}/cmdline").read_text()
    waiting = subprocess.Popen(daemon.command("wait", "counter"), stdout=subprocess.PIPE)
    daemon.pysup("update", "--restart", "no", "counter", check=True)
    daemon.pysup("exec", "counter", "touch", "/dev/shm/end")  # which may end with its container
    out, _ = waiting.communicate(timeout=BOUND)
    assert out == b"7\n"
    lines = daemon.pysup("logs", "counter", check=True).stdout.split()
    assert lines == [str(number + 1) for number in range(len(lines))]
    causes = daemon.pysup("query", "--nl", "select cause from daemon_starts order by id", check=True).stdout
    assert len(causes.splitlines()) == 2
    assert daemon.pysup("query", "--csv", "select count(*) from run").stdout.split() == ["count(*)", "1"]
    daemon.pysup("rm", "counter", check=True)


def test_an_engine_that_dies_after_an_update_takes_its_keeper_along(daemon: Daemon) -> None:
    """The next engine is of the version that was installed meanwhile."""
    daemon.pysup("run", "-d", "--name", "web", "host", "sleep", "1000", check=True)
    before, old = daemon.inspect("web")["State"], daemon.engine_pid
    program = Path(handover.__file__).with_name("__init__.py")
    installed = program.stat().st_mtime_ns
    os.utime(program, ns=(installed + 10**9, installed + 10**9))
    try:
        os.kill(old, signal.SIGKILL)
        wait_for_another_engine(daemon, old)
        assert daemon.inspect("web")["State"] == before
        assert "--adopt-fd" in Path(f"/proc/{daemon.pid}/cmdline").read_text()
    finally:
        os.utime(program, ns=(installed, installed))
    daemon.pysup("rm", "-f", "web", check=True)


def test_under_nohup_it_is_the_command_alone(daemon: Daemon) -> None:
    """The end of a terminal is no order to upgrade."""
    daemon.stop()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        daemon.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    old = daemon.engine_pid
    by_signal(daemon)
    assert daemon.engine_pid == old
    by_command(daemon)
    wait_for_another_engine(daemon, old)
    daemon.pysup("ps", check=True)
    assert (
        len(daemon.pysup("query", "--nl", "select id from daemon_starts", check=True).stdout.split("\n")) == 4
    )


def test_there_is_none_to_upgrade(daemon: Daemon, tmp_path: Path) -> None:
    done = subprocess.run(
        [*daemon.command()[:3], "--root", str(tmp_path / "other"), "daemon", "--upgrade"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"pysup: cannot upgrade the daemon: none uses {tmp_path}/other\n"
