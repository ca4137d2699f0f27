"""kill -9 of the engine and of the keeper, upgrade, stop: no process, output or exit status is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from helpers.containers import kept, outcome, start
from helpers.keepers import HERE, RUNNER, KeeperProcess, linked

from pysup.supervisor.kernel import process
from pysup.supervisor.settings import Settings

pytestmark = [pytest.mark.kernel, pytest.mark.vm]
KEY = "run/c/1"
BOUND = 60.0
"""Seconds after which something hangs; a busy machine may need some."""


async def test_engine_killed(keeper: KeeperProcess, tmp_path: Path) -> None:
    """The next engine finds the process with its descriptors: output and status are whole."""
    async with linked(keeper) as link:
        launched = await start(
            link, tmp_path / "c", ["sh", "-c", "echo one; read x; echo two; exit 9"], open_stdin=True
        )
        pid = launched.process.pid
        keeper.kill_engine()
    async with linked(keeper) as link:
        (entry,) = await link.entries()
        assert (entry.key, entry.pid, entry.status) == (KEY, pid, None)
        assert sorted(entry.fds) == ["stderr", "stdin", "stdout"]
        launched.process = link.adopt(entry)
        launched._link = link
        os.write(entry.fds["stdin"], b"\n")
        assert await outcome(link, launched) == (9 << 8, "one\ntwo\n", "")


async def test_exit_while_no_engine_runs(keeper: KeeperProcess, tmp_path: Path) -> None:
    """A process that ends in between is kept as a zombie with its status, and its output waits in the pipe."""
    async with linked(keeper) as link:
        launched = await start(
            link, tmp_path / "c", ["sh", "-c", "read x; echo last; exit 5"], open_stdin=True
        )
        stdin = launched.stdio.stdin
        assert stdin is not None
        os.kill(keeper.engine_pid, signal.SIGSTOP)
        keeper.kill_engine()
        os.write(stdin, b"\n")
        with trio.fail_after(BOUND):
            await trio.lowlevel.wait_readable(launched.process.pidfd)
    async with linked(keeper) as link:
        (entry,) = await link.entries()
        adopted = link.adopt(entry)
        assert os.waitstatus_to_exitcode(await adopted.wait()) == 5
        assert os.read(entry.fds["stdout"], 100) == b"last\n"
        await link.reap(KEY)
        assert await kept(link) == []


async def test_held_descriptors_outlive_the_engine(keeper: KeeperProcess) -> None:
    async with linked(keeper) as link:
        namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        inode = os.fstat(namespace).st_ino
        await link.hold("ns/c", {"net": namespace})
        assert link.held("ns/c") == {"net": namespace}
        await kept(link)
        keeper.kill_engine()
    async with linked(keeper) as link:
        (entry,) = await link.entries()
        assert (entry.key, entry.pid) == ("ns/c", 0)
        assert os.fstat(link.adopt_held(entry)["net"]).st_ino == inode
        await link.release("ns/c", ["net"])
        assert await kept(link) == []


async def test_upgrade_keeps_everything(keeper: KeeperProcess, tmp_path: Path) -> None:
    """The keeper executes its program anew: the same pid, the same child, a new engine."""
    async with linked(keeper) as link:
        launched = await start(link, tmp_path / "c", ["sh", "-c", "read x; exit 4"], open_stdin=True)
        pid = launched.process.pid
        await link.upgrade()
        await keeper.lost.wait()
    async with linked(keeper) as link:
        assert "--adopt-fd" in proc(keeper.process.pid, "cmdline")
        (entry,) = await link.entries()
        assert entry.pid == pid
        adopted = link.adopt(entry)
        os.write(entry.fds["stdin"], b"\n")
        assert os.waitstatus_to_exitcode(await adopted.wait()) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stop_and_shutdown(keeper: KeeperProcess, number: int) -> None:
    """A stop is only passed on; the daemon ends when the engine says so, with its exit code."""
    async with linked(keeper) as link:
        keeper.process.send_signal(number)
        await link.stop_requested.wait()
        assert link.stop_signal == number
        await link.shutdown(6)
        await trio.to_thread.run_sync(keeper.kill_engine)
        assert await trio.to_thread.run_sync(keeper.process.wait) == 6
    assert not os.access(keeper.settings.socket_path, os.F_OK)


async def test_stop_reaches_the_next_engine(keeper: KeeperProcess) -> None:
    async with linked(keeper) as link:
        keeper.process.send_signal(signal.SIGTERM)
        await link.stop_requested.wait()
        keeper.kill_engine()
    async with linked(keeper) as link:
        with trio.fail_after(BOUND):
            await link.stop_requested.wait()


async def test_nonsense_costs_the_engine_its_life(keeper: KeeperProcess) -> None:
    """A packet that is no message: that engine is replaced, and the keeper goes on."""
    async with linked(keeper) as link:
        link._sock.send(b"{}")
        await keeper.lost.wait()
    async with linked(keeper) as link:
        assert await kept(link) == []


async def test_orphans_are_reaped(keeper: KeeperProcess, tmp_path: Path) -> None:
    """With the host's pid namespace a container's orphans come to the keeper, which is a subreaper."""
    async with linked(keeper) as link:
        script = "(sleep 0 & echo $!)"
        flags = process.CLONE_NEWNS
        launched = await start(link, tmp_path / "c", ["sh", "-c", script], flags=flags)
        await outcome(link, launched)
        with trio.fail_after(BOUND):
            while children(keeper.process.pid) != [keeper.engine_pid]:  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.001)


def proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_second_daemon_is_refused(keeper: KeeperProcess) -> None:
    code = f"{RUNNER} run(Settings.from_json(sys.argv[1]), ['/bin/true'])"
    deadline = time.monotonic() + BOUND
    while not Path(keeper.settings.socket_path).exists() and time.monotonic() < deadline:
        os.sched_yield()
    argv = [sys.executable, "-P", "-c", code, keeper.settings.to_json()]
    second = subprocess.run(argv, capture_output=True, text=True, check=False)
    wanted = f"another one (pid {keeper.process.pid}) uses {keeper.settings.root}"
    assert wanted in second.stderr


async def test_the_keeper_stays_small(keeper: KeeperProcess) -> None:
    """Each child is a copy of it: one thread, few modules, about 10 MB of which most is shared with the engine."""
    async with linked(keeper) as link:
        await kept(link)
        lines = proc(keeper.process.pid, "status").splitlines()
        fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert fields["Threads"] == "1"
        assert int(fields["RssAnon"].split()[0]) < 8 << 10


def test_the_keeper_imports_little() -> None:
    """Nothing that is heavy to hold or slow to copy."""
    code = "import sys, pysup.supervisor.keeper.main; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "trio",
        "asyncio",
        "socket",
        "subprocess",
        "logging",
        "dataclasses",
        "hashlib",
        "inspect",
        "threading",
        "shutil",
        "sqlite3",
    }
    assert not heavy & set(found.stdout.split())


class SmallEngine:
    """A daemon with engine_small.py as its engine, and what that tells."""

    def __init__(self, base: Path) -> None:
        self.news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.news.bind(str(base / "news"))
        self.news.settimeout(BOUND)
        self.settings = Settings(root=str(base / "root"), run=str(base / "run"))
        code = f"{RUNNER} sys.exit(run(Settings.from_json(sys.argv[1]), sys.argv[2:]))"
        engine = [sys.executable, "-P", str(HERE / "engine_small.py")]
        argv = [sys.executable, "-P", "-c", code, self.settings.to_json(), *engine]
        env = {**os.environ, "PYSUP_TEST_SOCKET": str(base / "news"), "PYTHONPATH": str(HERE.parent)}
        self.keeper = subprocess.Popen(argv, env=env)
        self.pids = [self.keeper.pid]

    def next(self, word: str) -> list[str]:
        """The next news that begins with this word."""
        words = [""]
        while words[0] != word:
            words = self.news.recv(1000).decode().split(maxsplit=2)
            if words[0] == "engine":
                self.pids.append(int(words[1]))
        return words[1:]

    def close(self) -> None:
        for pid in reversed(self.pids):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.keeper.wait()
        self.news.close()


@pytest.fixture
def small_engine(tmp_path: Path) -> Iterator[SmallEngine]:
    made = SmallEngine(tmp_path)
    yield made
    made.close()


def test_keeper_killed(small_engine: SmallEngine) -> None:
    """The engine becomes the keeper, with every descriptor, and starts an engine that adopts the container."""
    (engine, _, keeper) = (*small_engine.next("engine")[:1], "", str(small_engine.keeper.pid))
    (pid,) = small_engine.next("started")
    os.kill(int(keeper), signal.SIGKILL)
    small_engine.keeper.wait()
    second, of = small_engine.next("engine")
    assert of == f"of {engine}", "the engine has become the keeper"
    assert small_engine.next("adopted") == [pid]
    code, output = small_engine.next("ended")
    assert output == "['one', 'two']"
    assert code in ({"9"} if process_info_exit() else {"9", "255"})
    os.kill(int(engine), signal.SIGTERM)
    assert small_engine.next("stopping") == ["by", "15"]
    assert second != engine


def process_info_exit() -> bool:
    """Whether this kernel tells the status of another's child (Linux 6.15)."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    pidfd = process.pidfd_open(pid)
    os.waitpid(pid, 0)
    try:
        return process.pidfd_exit_info(pidfd) == 0
    finally:
        os.close(pidfd)
