"""From the death of a container with ``--restart always`` to the first instruction of its replacement."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from tests.bench.common import Times, goal, report
from tests.bench.lab import Lab
from tests.bench.peers import Peer

BOUND = 30.0
"""Seconds after which a restart that does not come is an error."""
MOST = 10
"""Rounds; docker's and podman's take a while, because each is a container of its own: no back-off grows."""


def measure(lab: Lab) -> None:
    """Print medians; docker waits for 100 ms before a first retry, on purpose, and pysup is asked for no delay."""
    if not (lab.rootfs / "bin" / "stamp").exists():
        print("\n## restart latency: no gcc here to make the program that tells the time")
        return
    out = lab.directory / "out"
    out.mkdir()
    peers: list[Peer] = [lab.pysup, *lab.engines]
    times: Times = {peer.name: [] for peer in peers}
    for number in range(min(lab.rounds, MOST)):
        for peer in peers:
            fifo = out / f"{peer.name}-{number}"
            os.mkfifo(fifo)
            times[peer.name].append(_restart(peer, f"restart-{number}", fifo))
    report("death to the replacement's first instruction", times, base=lab.pysup.name)
    milliseconds = sorted(times[lab.pysup.name])[len(times[lab.pysup.name]) // 2] * 1000
    goal("death to first instruction in ms", milliseconds, 12)


def _restart(peer: Peer, name: str, fifo: Path) -> float:
    """Seconds from SIGKILL to the first instruction."""
    stamps = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # read and write: it never ends
    try:
        bind = (str(fifo.parent), "/out")
        peer.start(name, "/bin/stamp", f"/out/{fifo.name}", binds=[bind], restart=True)
        _next(stamps)
        pid = peer.pid(name)
        killed = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        return (_next(stamps) - killed) / 1e9
    finally:
        os.close(stamps)
        peer.remove(name)


def _next(stamps: int) -> int:
    """The next line of the FIFO: CLOCK_MONOTONIC in ns."""
    readable, _, _ = select.select([stamps], [], [], BOUND)
    if not readable:
        raise SystemExit(f"the container did not come (back) within {BOUND} s")
    return int(os.read(stamps, 64).split()[0])
