"""A real keeper for a test, with a Link to it in the test's own process, and the plan of a plain container."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import trio

from pysup.supervisor.keeper.client.link import KeeperLost, Link
from pysup.supervisor.kernel import mounts, process
from pysup.supervisor.settings import Settings

HERE = Path(__file__).parent
CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
]  # fmt: skip
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/scsi"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
FLAGS = (
    process.CLONE_NEWNS
    | process.CLONE_NEWPID
    | process.CLONE_NEWUTS
    | process.CLONE_NEWIPC
    | process.CLONE_NEWNET
)
RUNNER = "import sys; from pysup.supervisor.keeper.main import run; from pysup.supervisor.settings import Settings;"
ENV = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]


class KeeperProcess:
    """A keeper as a child of the test; each engine that it starts connects here with its socket."""

    def __init__(self, base: Path) -> None:
        self.settings = Settings(root=str(base / "root"), run=str(base / "run"))
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.bind(str(base / "door"))
        self._door.listen()
        self.process = self.start([sys.executable, "-P", str(HERE / "engine_proxy.py")], str(base / "door"))
        self.engine_pid = 0
        self.lost = trio.Event()
        self.listen_fd = self.lock_fd = -1

    def start(self, engine_argv: list[str], door: str) -> subprocess.Popen[bytes]:
        code = f"{RUNNER} sys.exit(run(Settings.from_json(sys.argv[1]), sys.argv[2:]))"
        argv = [sys.executable, "-P", "-c", code, self.settings.to_json(), *engine_argv]
        return subprocess.Popen(argv, env={**os.environ, "PYSUP_TEST_SOCKET": door})

    async def link(self) -> Link:
        """The link of the engine that the keeper starts next."""
        await trio.lowlevel.wait_readable(self._door)
        connection, _address = self._door.accept()
        with connection:
            await trio.lowlevel.wait_readable(connection)
            text, fds, _flags, _from = socket.recv_fds(connection, 100, 3)
        self._close_inherited()
        self.engine_pid = int(text)
        keeper_fd, self.listen_fd, self.lock_fd = fds
        return Link(socket.socket(fileno=keeper_fd))

    def _close_inherited(self) -> None:
        for fd in (self.listen_fd, self.lock_fd):
            if fd >= 0:
                os.close(fd)
        self.listen_fd = self.lock_fd = -1

    def kill_engine(self) -> None:
        os.kill(self.engine_pid, signal.SIGKILL)

    def close(self) -> None:
        self._close_inherited()
        self.process.kill()
        self.process.wait()
        if self.engine_pid:
            with contextlib.suppress(ProcessLookupError):
                self.kill_engine()
        self._door.close()


@contextlib.contextmanager
def keeper_process(base: Path) -> Iterator[KeeperProcess]:
    keeper = KeeperProcess(base)
    try:
        yield keeper
    finally:
        keeper.close()


@contextlib.asynccontextmanager
async def linked(keeper: KeeperProcess) -> AsyncIterator[Link]:
    """A link with its reading task; ``keeper.lost`` is set when the keeper ends the connection."""
    link = await keeper.link()
    keeper.lost = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read, link, keeper.lost)
        yield link
        nursery.cancel_scope.cancel()


async def _read(link: Link, lost: trio.Event) -> None:
    try:
        await link.run()
    except KeeperLost:
        lost.set()


def tree(base: Path, *, tty: bool = False) -> list[list[Any]]:
    """Steps for the mounts of a container of the host's root."""
    for name in ("upper", "work", "rootfs"):
        (base / name).mkdir(parents=True, exist_ok=True)
    layers = {"lower": ["/"], "upper": f"{base}/upper", "work": f"{base}/work", "target": f"{base}/rootfs"}
    plain = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    return [
        ["propagation", "private"],
        ["overlay", {**layers, "volatile": True}],
        ["enter", f"{base}/rootfs"],
        ["mount", "proc", "proc", "/proc", plain, ""],
        ["mount", "tmpfs", "tmpfs", "/dev", mounts.MS_NOSUID | mounts.MS_STRICTATIME, "mode=755,size=65536k"],
        ["mount", "devpts", "devpts", "/dev/pts", mounts.MS_NOSUID | mounts.MS_NOEXEC,
         "newinstance,ptmxmode=0666,mode=0620,gid=5"],
        ["mount", "mqueue", "mqueue", "/dev/mqueue", plain, ""],
        ["mount", "tmpfs", "shm", "/dev/shm", plain, "mode=1777,size=67108864"],
        ["mount", "sysfs", "sysfs", "/sys", plain | mounts.MS_RDONLY, ""],
        *(["device", f"/dev/{name}", 0o666, major, minor] for name, major, minor in (
            ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))),
        *(["symlink", content, f"/dev/{name}"] for name, content in (
            ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"))),
        *([["console"]] if tty else []),
        *(["mask", path] for path in MASKED),
        *(["read_only", path] for path in READ_ONLY),
        ["pivot"],
    ]  # fmt: skip


def plan(
    base: Path,
    argv: list[str],
    *,
    tty: bool = False,
    user: str = "",
    cwd: str = "/",
    extra: list[list[Any]] | None = None,
) -> list[list[Any]]:
    """The whole plan of a container of the host's root that executes argv."""
    return [
        ["unshare", process.CLONE_NEWCGROUP],
        *tree(base, tty=tty),
        ["hostname", "box"],
        ["loopback"],
        ["rlimit", "nofile", 1024, 4096],
        ["umask", 0o022],
        *(extra or []),
        ["user", user, []],
        ["workdir", cwd],
        ["credentials", CAPABILITIES],
        ["ready"],
        ["exec", argv, ENV, cwd],
    ]
