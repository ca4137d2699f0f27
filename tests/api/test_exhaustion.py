"""One container that takes all it can get: the others and the API go on as before.

While each attack is under way a bystander runs a command and the API lists, each within AT_ONCE.
"""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from helpers.daemon import Daemon

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError

pytestmark = pytest.mark.kernel

AT_ONCE = 30.0
"""Seconds: a hundred times what it takes on a quiet machine; who is kept waiting by an attack waits for its end."""
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon, and a bystander."""
    with Daemon(tmp_path_factory.mktemp("daemon")) as daemon:
        words = [
            "--network",
            "none",
            "--name",
            "bystander",
            "host",
            "sh",
            "-c",
            "while sleep 1; do echo here; done",
        ]
        daemon.pysup("run", "-d", *words, check=True)
        yield daemon
        daemon.pysup("rm", "-f", "bystander", check=True)


@contextmanager
def attack(daemon: Daemon, flags: list[str], command: list[str], until: str) -> Iterator[None]:
    """A container that attacks; it has begun when it has printed ``until``, and is removed afterwards, at once."""
    daemon.pysup("run", "-d", "--network", "none", "--name", "attacker", *flags, "host", *command, check=True)
    deadline = time.monotonic() + 60
    while until not in daemon.pysup("logs", "--tail", "5", "attacker").stdout:
        assert time.monotonic() < deadline, daemon.pysup("logs", "attacker")
    try:
        yield
    finally:
        begun = time.monotonic()
        daemon.pysup("rm", "-f", "attacker", check=True)
        assert time.monotonic() - begun < AT_ONCE


def others_go_on(daemon: Daemon) -> None:
    begun = time.monotonic()
    assert daemon.pysup("exec", "bystander", "echo", "fine").stdout == "fine\n"
    assert daemon.docker("ps", "-q").stdout.count("\n") >= 1
    assert daemon.pysup("run", "--rm", "--network", "none", "host", "echo", "new").stdout == "new\n"
    assert time.monotonic() - begun < AT_ONCE


def program(text: str) -> list[str]:
    return [PYTHON, "-c", textwrap.dedent(text)]


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


def test_a_fork_bomb_within_the_limit_of_processes(shared: Daemon) -> None:
    bomb = program(
        """
        import os
        try:
            while True:
                if os.fork() == 0:
                    while True:
                        pass
        except OSError as error:
            print("full", error.errno, flush=True)
        while True:
            pass
        """
    )
    with attack(shared, ["--pids-limit", "60", "--cpus", "0.5"], bomb, "full 11"):
        others_go_on(shared)


def test_a_fork_bomb_of_a_container_that_says_nothing(tmp_path: Path) -> None:
    """The daemon's own limit: in force, shown, for docker's command too, and taken away by -1."""
    bomb = program(
        """
        import os, signal
        count = 1
        try:
            while os.fork():
                count += 1
            signal.pause()
        except OSError as error:
            print(count, error.errno)
        """
    )
    with Daemon(tmp_path, "--default-pids-limit", "40") as daemon:
        assert daemon.pysup("run", "--name", "bomb", "--network", "none", "host", *bomb).stdout == "40 11\n"
        assert daemon.docker("run", "--rm", "--network", "none", "host", *bomb).stdout == "40 11\n"
        assert daemon.inspect("bomb")["HostConfig"]["PidsLimit"] == 40
        assert " Default Pids Limit: 40\n" in daemon.pysup("info", check=True).stdout
        daemon.pysup("create", "--name", "free", "--pids-limit", "-1", "host", "true", check=True)
        assert daemon.inspect("free")["HostConfig"]["PidsLimit"] is None
        daemon.pysup("rm", "bomb", "free", check=True)
    refused = Daemon(tmp_path).pysup("daemon", "--default-pids-limit", "-2")
    assert refused.returncode == 2 and "is not within -1 and" in refused.stderr


def test_a_flood_of_log(shared: Daemon) -> None:
    flags = ["--log-opt", "max-size=1m", "--log-opt", "max-file=2", "--cpus", "0.5"]
    before = memory(shared.engine_pid)
    with attack(shared, flags, ["sh", "-c", "yes flood & exec yes other >&2"], "flood"):
        for _ in range(3):
            others_go_on(shared)
        assert _kept(shared.root / "containers" / shared.inspect("attacker")["Id"] / "logs") < 3 << 20
        assert memory(shared.engine_pid) - before < 40 << 20


def _kept(directory: Path) -> int:
    """Bytes of the log files; one may be rotated away while the rest is looked at."""
    size = 0
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def test_bursts_of_ten_thousand_lines(shared: Daemon) -> None:
    burst = program(
        """
        import sys, time
        lines = "".join(f"line {number}\\n" for number in range(10_000))
        for _ in range(20):
            sys.stdout.write(lines)
            sys.stdout.flush()
        print("all", flush=True)
        time.sleep(1000)
        """
    )
    with attack(shared, [], burst, "all"):
        others_go_on(shared)
        said = shared.pysup("logs", "attacker").stdout
        assert said == "".join(f"line {number}\n" for number in range(10_000)) * 20 + "all\n"


@pytest.mark.parametrize("what", ["files", "inotify", "sockets", "keys of epoll"])
def test_exhausted_descriptors(shared: Daemon, what: str) -> None:
    """Instances of inotify are counted by user, and root is one user for all: pysup does without."""
    make = {
        "files": "open('/dev/null')",
        "inotify": "libc.inotify_init1(0) >= 0 or fail()",
        "sockets": "socket.socketpair()",
        "keys of epoll": "select.epoll()",
    }[what]
    take = program(
        f"""
        import ctypes, os, resource, select, socket, time
        libc = ctypes.CDLL(None, use_errno=True)
        kept = []
        def fail():
            raise OSError(ctypes.get_errno(), "")
        try:
            while len(kept) < 5000:
                kept.append({make})
        except OSError as error:
            pass
        os.write(1, b"taken\\n")
        time.sleep(1000)
        """
    )
    with attack(shared, ["--ulimit", "nofile=4000:4000"], take, "taken"):
        others_go_on(shared)


def test_full_memory_file_systems_are_the_container_s_own(shared: Daemon) -> None:
    fill = "cat /dev/zero > /dev/shm/x; cat /dev/zero > /dev/x; echo full; sleep 1000"
    with attack(shared, [], ["sh", "-c", fill], "full"):
        others_go_on(shared)
        sizes = shared.pysup("exec", "attacker", "stat", "-c", "%s", "/dev/shm/x", "/dev/x").stdout.split()
        assert [int(size) for size in sizes] == [64 << 20, 64 << 20]


@pytest.mark.parametrize("place", ["environment", "one argument", "arguments"])
def test_arguments_and_environments_that_are_too_large(shared: Daemon, place: str) -> None:
    big = "x" * (3 << 20)
    body: dict[str, object] = {"Image": "host", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    body |= {
        "environment": {"Env": [f"BIG={big}"]},
        "one argument": {"Cmd": ["true", big]},
        "arguments": {"Cmd": ["true", *(["x" * 100] * 60_000)]},
    }[place]
    client = Client(f"unix://{shared.socket}")
    made = client.post("/containers/create", body)["Id"]
    with pytest.raises(PysupError, match="rgument list too long"):
        client.post(f"/containers/{made}/start")
    others_go_on(shared)
    client.delete(f"/containers/{made}")
    client.close()


def test_a_container_that_dies_at_once_again_and_again(shared: Daemon) -> None:
    flags = ["--restart", "always", "--restart-delay", "0"]
    with attack(shared, flags, ["sh", "-c", "echo died; exit 1"], "died"):
        others_go_on(shared)


def test_many_clients_that_follow_one_flood(shared: Daemon) -> None:
    """Output is a file, so those who read it slowly, or not at all, hold nothing up."""
    with attack(shared, ["--log-opt", "max-size=1m", "--cpus", "0.3"], ["yes", "flood"], "flood"):
        clients = [Client(f"unix://{shared.socket}") for _ in range(30)]
        query = {"stdout": "1", "follow": "1"}
        streams = [client.stream("GET", "/containers/attacker/logs", query=query) for client in clients]
        for stream in streams:
            stream.__enter__()
        before = memory(shared.engine_pid)
        others_go_on(shared)
        assert memory(shared.engine_pid) - before < 60 << 20
        for client, stream in zip(clients, streams, strict=True):
            stream.__exit__(None, None, None)
            client.close()
    assert os.path.exists(f"/proc/{shared.engine_pid}")
