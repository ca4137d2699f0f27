"""A real daemon for a test: in a mount namespace of its own, with its own --root, --run and cgroup.

Its network namespace is that of the tests (own_network.py), or one of its own, never the machine's.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pysup.supervisor.client import core
from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import NotFound

from . import own_network

READY_WITHIN = 180.0
"""Seconds; generous, because the same tests run in an emulated machine that is 40 times slower."""
ENDS_WITHIN = 180.0
CGROUPS = Path("/sys/fs/cgroup")


class Daemon:
    """``with Daemon(directory) as daemon``: ready when the block begins, gone without a trace after it.

    ``apart``: in a network namespace of its own, for one with bridges beside another that owns those of the tests'.
    """

    def __init__(self, directory: Path, *options: str, apart: bool = False) -> None:
        name = uuid.uuid4().hex[:8]
        self.root = directory / "root"
        self.run_dir = directory / "run"
        # A socket's path has at most 107 bytes (unix(7)); pytest's directories are long.
        self.socket = Path(f"/tmp/pysup-{name}.sock")
        self.cgroup = f"pysup-test-{name}"
        self.log = directory / "daemon.log"
        self.options = options
        self._apart = apart
        self._process: subprocess.Popen[bytes] | None = None

    # -- life ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            code = self.stop() if self._process is not None else 0
        finally:
            if kind is not None:
                sys.stderr.write(self.log.read_text(errors="replace")[-20000:])
        if kind is None:
            assert code == 0, self.log.read_text(errors="replace")
            assert self.leftovers() == []
        self.remove_cgroups()
        own_network.clear()

    def start(self) -> None:
        """Start it and wait for READY=1 (sd_notify(3))."""
        own_network.enter()
        with _notify_socket(self.run_dir.parent) as notify, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._namespaces(), *self.command("daemon"), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": notify.getsockname()},
            )
            pidfd = os.pidfd_open(self._process.pid)
            try:
                readable, _, _ = select.select([notify, pidfd], [], [], READY_WITHIN)
            finally:
                os.close(pidfd)
            if notify not in readable or b"READY=1" not in notify.recv(4096):
                raise AssertionError("the daemon did not start:\n" + self.log.read_text(errors="replace"))

    def _namespaces(self) -> list[str]:
        """The command before the daemon's, which executes it in its own place."""
        own = ["unshare", "--mount", "--propagation", "private"]
        return [*own, "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"] if self._apart else own

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and return its exit code."""
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            return process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    @property
    def pid(self) -> int:
        """The keeper's pid: unshare(1) executes it in its own place."""
        assert self._process is not None
        return self._process.pid

    @property
    def engine_pid(self) -> int:
        """The pid of the engine that runs now."""
        engine = next(filter(is_engine, children(self.pid)), None)
        if engine is None:
            raise AssertionError("the keeper has no engine")
        return engine

    # -- use -------------------------------------------------------------------------------------------------

    def command(self, *arguments: str) -> list[str]:
        """The argv of a pysup command for this daemon."""
        options = {"--root": self.root, "--run": self.run_dir, "--socket": self.socket}
        words = [word for pair in options.items() for word in map(str, pair)]
        own = ["--cgroup-root", self.cgroup] if arguments[:1] == ("daemon",) else []
        return [sys.executable, "-m", "pysup.supervisor.cli.main", *words, *arguments, *own]

    def pysup(
        self, *arguments: str, check: bool = False, stdin: bytes | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a pysup command to its end."""
        done = subprocess.run(
            self.command(*arguments), input=stdin or b"", capture_output=True, timeout=timeout, check=False
        )
        text = subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )
        if check and text.returncode:
            raise AssertionError(f"{arguments}: {text.returncode}: {text.stdout}{text.stderr}")
        return text

    def docker(
        self, *arguments: str, stdin: bytes | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run the real docker CLI against this daemon."""
        return subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", *arguments],
            input=None if stdin is None else stdin.decode(),
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def client(self) -> Client:
        """A connection of one's own to the API."""
        return Client(f"unix://{self.socket}")

    def inspect(self, name: str) -> dict[str, Any]:
        """The inspect document of a container, or of an image."""
        with contextlib.closing(self.client()) as client:
            try:
                found: dict[str, Any] = client.get(core.container_path(name, "json"))
            except NotFound:
                found = client.get(f"/images/{core.segment(name)}/json")
        return found

    def remove_containers(self) -> None:
        """All of them, whether they run or not, with the volumes that have no name."""
        with contextlib.closing(self.client()) as client:
            for one in client.get("/containers/json", query={"all": "1"}):
                client.delete(core.container_path(one["Id"]), query={"force": "1", "v": "1"})

    # -- afterwards ------------------------------------------------------------------------------------------

    def leftovers(self) -> list[str]:
        """What is still there of the daemon: cgroups, processes, mounts, the socket."""
        mounts = [
            line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.root) in line
        ]
        sockets = [str(self.socket)] if self.socket.exists() else []
        return [*sorted(self.cgroups()), *mounts, *sockets, *_processes_below(self.root)]

    def cgroups(self) -> set[str]:
        """Names of the containers' cgroups that are there, in either version."""
        found = (*CGROUPS.glob(f"*/{self.cgroup}/*/"), *CGROUPS.glob(f"{self.cgroup}/*/"))
        return {path.name for path in found if path.is_dir()}

    def remove_cgroups(self) -> None:
        """Remove the (empty) parents that a daemon which was killed leaves for its next start."""
        for path in (*CGROUPS.glob(f"*/{self.cgroup}"), CGROUPS / self.cgroup):
            with contextlib.suppress(OSError):
                path.rmdir()


def children(pid: int) -> Sequence[int]:
    """The pids of a process's children (proc_tid_children(5))."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_engine(pid: int) -> bool:
    """Whether this process is an engine; it may end at any moment."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return b"pysup.supervisor.engine_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _processes_below(root: Path) -> list[str]:
    """Processes whose command line names this root."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(root).encode() in entry.read_bytes() and entry.parent.name != str(os.getpid()):
                found.append(f"process {entry.parent.name}")
    return found


@contextlib.contextmanager
def _notify_socket(directory: Path) -> Iterator[socket.socket]:
    directory.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        path = f"/tmp/pysup-notify-{uuid.uuid4().hex[:8]}"
        notify.bind(path)
        try:
            yield notify
        finally:
            os.unlink(path)
