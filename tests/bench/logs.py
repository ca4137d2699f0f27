"""Copying output to the log: 200 MB of 100-byte lines, in MB/s and CPU seconds per GB of what copies."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.common import call, goal, table
from tests.bench.lab import Lab
from tests.bench.peers import DockerLike
from tests.bench.supervisor import cpu_seconds, pids_of

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
    best: dict[str, tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for name, once in _subjects(lab).items():
            speed, cpu = once()
            best[name] = max(best.get(name, (0.0, 0.0)), (speed, cpu))
    base = best["pysup"][0]
    rows = [[name, f"{s:.0f}", f"{s / base:.2f}", f"{cpu:.1f}"] for name, (s, cpu) in best.items()]
    table(f"{MEGABYTES} MB of 100-byte lines to the log", ["", "MB/s", "x pysup", "CPU s/GB"], rows)
    podman = best.get("podman", (None, None))[0], best.get("podman -t", (None, None))[0]
    goal("pysup : podman", base / podman[0] if podman[0] else None, 3, at_least=True)
    goal("pysup : writer | cat > file", base / best["writer | cat > file"][0], 0.5, at_least=True)
    goal("pysup -t : podman -t", best["pysup -t"][0] / podman[1] if podman[1] else None, 1, at_least=True)
    goal("pysup, CPU s/GB", best["pysup"][1], 1.5)


def _subjects(lab: Lab) -> dict[str, Callable[[], tuple[float, float]]]:
    daemon = lab.pysup.daemon
    copiers: dict[str, tuple[DockerLike, Callable[[], Iterable[int]]]] = {
        "pysup": (lab.pysup, lambda: [daemon.pid, daemon.engine_pid]),
        "podman": (lab.peer("podman"), lambda: pids_of("conmon")),  # type: ignore[dict-item]
        "docker": (lab.peer("docker"), lambda: [*pids_of("dockerd"), *pids_of("containerd-shim-runc-v2")]),  # type: ignore[dict-item]
    }
    subjects: dict[str, Callable[[], tuple[float, float]]] = {}
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


def _logged(peer: DockerLike, copying: Callable[[], Iterable[int]], *, tty: bool) -> tuple[float, float]:
    """The engine itself says when the container started and finished; so no command's start is counted."""
    with _Meter(copying) as meter:
        peer.logged("logged", *WRITER, tty=tty)
    state: dict[str, Any] = json.loads(peer.inspect("logged"))[0]["State"]
    peer.remove("logged")
    elapsed = (_moment(state["FinishedAt"]) - _moment(state["StartedAt"])).total_seconds()
    return MEGABYTES / elapsed, meter.used / MEGABYTES * 1000


def _moment(text: str) -> datetime:
    """RFC 3339 with any number of digits; docker's have up to nine."""
    head, _, rest = text.partition(".")
    digits = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    return datetime.fromisoformat(f"{head.rstrip('Z')}.{digits[:6]:0<6}+00:00")


def _shell(line: str, target: Path) -> tuple[float, float]:
    """To a new file, as the others: truncating the last one would give back the very pages that are needed next."""
    begin = time.perf_counter()
    subprocess.run(["sh", "-c", line], check=True)
    elapsed = time.perf_counter() - begin
    target.unlink()
    return MEGABYTES / elapsed, 0.0


def _dropped(lab: Lab) -> tuple[float, float]:
    """What no reader of a terminal can be without."""
    begin = time.perf_counter()
    cpu = float(call([lab.terminal, f"{lab.rootfs}/bin/lines", MEGABYTES]))
    return MEGABYTES / (time.perf_counter() - begin), cpu


class _Meter:
    """CPU seconds that processes use in a block: also those that come and go, up to their last 20 ms."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self._begun = {pid: cpu_seconds(pid) for pid in pids()}
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
    def used(self) -> float:
        """Seconds."""
        return sum(seconds - self._begun.get(pid, 0.0) for pid, seconds in self._seen.items())

    def _watch(self) -> None:
        while not self._over.wait(_TICK):
            self._look()
        self._look()

    def _look(self) -> None:
        for pid in {*self._pids(), *self._seen}:
            try:
                self._seen[pid] = cpu_seconds(pid)
            except FileNotFoundError:
                continue
