"""Where the benches happen: a mount namespace, a directory, programs in a small root filesystem, and the peers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from tests.bench import oci
from tests.bench.peers import Docker, Oci, Peer, Podman, available
from tests.bench.supervisor import Pysup

PROGRAMS = Path(__file__).parent / "programs"
INSIDE = "PYSUP_BENCH_INSIDE"
_UNIFIED = "/sys/fs/cgroup/unified"
CROWD = 100
"""Idle containers that memory and ps look at."""
APPLETS = ("true", "sleep", "sh", "cat")


def enter_namespace() -> None:
    """Execute this program again in a mount namespace of its own, in which a hybrid's bare cgroup v2 is hidden.

    Debian's crun 1.8 refuses to run with it; what is mounted here is gone with the last process.
    """
    if os.geteuid():
        raise SystemExit("cannot measure: it needs root")
    if INSIDE in os.environ:
        if os.path.ismount(_UNIFIED):
            subprocess.run(["umount", "--lazy", _UNIFIED], check=True)
        return
    os.environ[INSIDE] = "1"
    again = [sys.executable, *sys.orig_argv[1:]]
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *again])  # noqa: S606


class Lab:
    """``with Lab(rounds) as lab``: everything is there in the block, nothing of it after."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self._stack = ExitStack()
        self._crowds: dict[str, Peer] = {}

    def __enter__(self) -> Lab:
        with ExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(prefix="pysup-bench-", ignore_cleanup_errors=True)
            self.directory = Path(stack.enter_context(temporary))
            self.rootfs = self._make_rootfs()
            self.floor = self._compile("floor", self.directory / "floor")
            self.terminal = self._compile("terminal", self.directory / "terminal")
            self.archive = self.directory / "rootfs.tar"
            subprocess.run(["tar", "-C", self.rootfs, "-cf", self.archive, "."], check=True)
            self.pysup = stack.enter_context(Pysup(self.directory / "pysup", self.archive))
            self.peers = [stack.enter_context(peer) for peer in self._installed(self.archive)]
            stack.callback(self.dismiss_crowds)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def described(self) -> str:
        """The machine and what takes part, in one line."""
        kernel = os.uname().release
        filtered = "with" if oci.seccomp() else "WITHOUT (no profile here)"
        names = ", ".join(peer.name for peer in self.peers) or "nobody"
        floor = "the C floor, " if self.floor else "no C floor (no gcc here), "
        return (
            f"{os.cpu_count()} CPUs, Linux {kernel}; beside pysup: {floor}{names}; "
            f"crun and runc {filtered} docker's seccomp profile unless the name says plain"
        )

    def peer(self, name: str) -> Peer | None:
        """The engine of this name, if it takes part."""
        return next((peer for peer in self.peers if peer.name == name), None)

    @property
    def engines(self) -> list[Peer]:
        """Those that supervise what they start."""
        return [peer for peer in self.peers if isinstance(peer, (Podman, Docker))]

    def crowd(self, peer: Peer) -> None:
        """Have it run a hundred idle containers, unless it does already."""
        if peer.name not in self._crowds:
            self._crowds[peer.name] = peer
            for name in _crowd_names():
                peer.start(name, "/bin/sleep", "100000")

    def dismiss_crowds(self) -> None:
        """Remove the idle containers."""
        while self._crowds:
            _, peer = self._crowds.popitem()
            peer.remove(*_crowd_names())

    # -- making ----------------------------------------------------------------------------------------------

    def _make_rootfs(self) -> Path:
        rootfs = self.directory / "rootfs"
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "out"):
            (rootfs / name).mkdir(parents=True)
        busybox = shutil.which("busybox")
        if busybox is None:
            raise SystemExit("cannot measure: busybox-static is not installed")
        shutil.copy(busybox, rootfs / "bin" / "busybox")
        for name in APPLETS:
            (rootfs / "bin" / name).symlink_to("busybox")
        for name in ("stamp", "lines", "stream"):
            self._compile(name, rootfs / "bin" / name)
        return rootfs

    def _compile(self, name: str, target: Path) -> Path | None:
        """A static program; None without gcc."""
        if shutil.which("gcc") is None:
            return None
        source = PROGRAMS / f"{name}.c"
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", target, source], check=True)
        return target

    def _installed(self, archive: Path) -> list[Peer]:
        peers: list[Peer] = []
        for runtime in ("crun", "runc"):
            if shutil.which(runtime):
                peers += [
                    Oci(runtime, runtime, self.directory, self.rootfs, filtered=True),
                    Oci(f"{runtime} plain", runtime, self.directory, self.rootfs, filtered=False),
                ]
        if shutil.which("podman"):
            peers.append(Podman(self.directory / "podman", archive))
        if available(["docker", "info"]):
            peers.append(Docker(archive))
        return peers


def _crowd_names() -> list[str]:
    return [f"idle-{number}" for number in range(CROWD)]
