"""Copying output to the log: 200 MB of 100-byte lines, in MB/s and CPU seconds per GB of what copies.

What copies is keeper and engine, conmon, or dockerd and its shim: not the program that writes, nor the kernel's own
threads. "in user mode" is what it spends in its own code; the rest is the kernel's work for it.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.common import call, goal, table
from tests.bench.lab import Lab
from tests.bench.peers import DockerLike
from tests.bench.supervisor import Cpu, cpu_of, pids_of

MEGABYTES = 200
ROUNDS = 3
WRITER = ("/bin/lines", str(MEGABYTES))
_TICK = 0.02
_DROPPED = "a terminal, read and dropped"


def measure(lab: Lab) -> None:
    """Print the best of some rounds: a slow one is the disk's."""
    if not (lab.rootfs / "bin" / "lines").exists():
        print("\n## logs: no gcc here to make the program that writes")
        return
    best: dict[str, _Figures] = {}
    for _ in range(ROUNDS):
        for name, once in _subjects(lab).items():
            best[name] = max(best.get(name, _Figures()), once())
    base = best["pysup"].speed
    rows = [[name, f"{one.speed:.0f}", f"{one.speed / base:.2f}", *one.shown] for name, one in best.items()]
    columns = ["", "MB/s", "x pysup", "CPU s/GB", "in user mode"]
    table(f"{MEGABYTES} MB of 100-byte lines to the log", columns, rows)
    podman = [best.get(name, _Figures()).speed for name in ("podman", "podman -t")]
    goal("pysup : podman", base / podman[0] if podman[0] else None, 3, at_least=True)
    goal("pysup : writer | cat > file", base / best["writer | cat > file"].speed, 0.5, at_least=True)
    goal("pysup -t : podman -t", best["pysup -t"].speed / podman[1] if podman[1] else None, 1, at_least=True)
    goal("pysup, CPU s/GB", best["pysup"].cpu, 1.5)
    goal("pysup -t, CPU s/GB", best["pysup -t"].cpu, 1.5)
    goal("pysup -t, CPU s/GB : a terminal read and dropped", best["pysup -t"].cpu / best[_DROPPED].cpu, 1.5)


class _Figures(NamedTuple):
    """MB/s, and seconds of CPU for each GB; 0: not measured."""

    speed: float = 0.0
    cpu: float = 0.0
    user: float = 0.0

    @property
    def shown(self) -> tuple[str, str]:
        return (f"{self.cpu:.1f}", f"{self.user:.1f}") if self.cpu else ("", "")


def _subjects(lab: Lab) -> dict[str, Callable[[], _Figures]]:
    daemon = lab.pysup.daemon
    copiers: dict[str, tuple[DockerLike, Callable[[], Iterable[int]]]] = {
        "pysup": (lab.pysup, lambda: [daemon.pid, daemon.engine_pid]),
        "podman": (lab.peer("podman"), lambda: pids_of("conmon")),  # type: ignore[dict-item]
        "docker": (lab.peer("docker"), lambda: [*pids_of("dockerd"), *pids_of("containerd-shim-runc-v2")]),  # type: ignore[dict-item]
    }
    subjects: dict[str, Callable[[], _Figures]] = {}
    for name, (peer, copying) in copiers.items():
        if peer is None:
            continue
        for suffix, tty in (("", False), (" -t", True)):
            subjects[name + suffix] = lambda peer=peer, copying=copying, tty=tty: _logged(  # type: ignore[misc]
                peer, copying, tty=tty
            )
    target = lab.directory / "copied"
    writer = f"{lab.rootfs}/bin/lines {MEGABYTES}"
    subjects["writer | cat > file"] = lambda: _shell(f"{writer} | cat >{target}", target)
    subjects[_DROPPED] = lambda: _dropped(lab)
    subjects["writer > file"] = lambda: _shell(f"{writer} >{target}", target)
    return subjects


def _logged(peer: DockerLike, copying: Callable[[], Iterable[int]], *, tty: bool) -> _Figures:
    """The engine itself says when the container started and finished; so no command's start is counted."""
    with _Meter(copying) as meter:
        peer.logged("logged", *WRITER, tty=tty)
    state: dict[str, Any] = json.loads(peer.inspect("logged"))[0]["State"]
    peer.remove("logged")
    elapsed = (_moment(state["FinishedAt"]) - _moment(state["StartedAt"])).total_seconds()
    used = meter.used
    return _Figures(MEGABYTES / elapsed, used.total / MEGABYTES * 1000, used.user / MEGABYTES * 1000)


def _moment(text: str) -> datetime:
    """RFC 3339 with any number of digits; docker's have up to nine."""
    head, _, rest = text.partition(".")
    digits = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    return datetime.fromisoformat(f"{head.rstrip('Z')}.{digits[:6]:0<6}+00:00")


def _shell(line: str, target: Path) -> _Figures:
    """To a new file, as the others: truncating the last one would give back the very pages that are needed next."""
    begin = time.perf_counter()
    subprocess.run(["sh", "-c", line], check=True)
    elapsed = time.perf_counter() - begin
    target.unlink()
    return _Figures(MEGABYTES / elapsed)


def _dropped(lab: Lab) -> _Figures:
    """What no reader of a terminal can be without."""
    begin = time.perf_counter()
    user, system = map(float, call([lab.terminal, f"{lab.rootfs}/bin/lines", MEGABYTES]).split())
    return _Figures(MEGABYTES / (time.perf_counter() - begin), user + system, user)


class _Meter:
    """CPU seconds that processes use in a block: also those that come and go, up to their last 20 ms."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self._begun = {pid: cpu_of(pid) for pid in pids()}
        self._seen = dict(self._begun)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Meter:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def used(self) -> Cpu:
        """What all of them used together."""
        nothing = Cpu(0.0, 0.0)
        spent = [
            (now.user - before.user, now.system - before.system)
            for pid, now in self._seen.items()
            for before in [self._begun.get(pid, nothing)]
        ]
        return Cpu(*map(sum, zip(*spent, strict=True)))

    def _watch(self) -> None:
        while not self._over.wait(_TICK):
            self._look()
        self._look()

    def _look(self) -> None:
        for pid in {*self._pids(), *self._seen}:
            try:
                self._seen[pid] = cpu_of(pid)
            except FileNotFoundError:
                continue
