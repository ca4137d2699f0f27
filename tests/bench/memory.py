"""What supervising costs at rest: memory for each idle container at 100 of them, and CPU time of doing nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.bench.common import goal, table
from tests.bench.lab import CROWD, Lab
from tests.bench.peers import Peer
from tests.bench.supervisor import cpu_seconds, pids_of, pss

QUIET = 5.0
"""Seconds of watching the daemon do nothing."""


def measure(lab: Lab) -> None:
    """Print KiB for each container (PSS of all that supervises, without the container itself)."""
    lab.dismiss_crowds()
    daemon = lab.pysup.daemon
    watched: dict[str, tuple[Peer | None, Callable[[], list[int]]]] = {
        "pysup": (lab.pysup, lambda: [daemon.pid, daemon.engine_pid]),
        "podman": (lab.peer("podman"), lambda: pids_of("conmon")),
        "docker": (lab.peer("docker"), lambda: [*pids_of("dockerd"), *pids_of("containerd-shim-runc-v2")]),
    }
    rows, each = [], {}
    for name, (peer, supervisors) in watched.items():
        if peer is None:
            continue
        before = sum(map(pss, supervisors()))
        lab.crowd(peer)
        after = sum(map(pss, supervisors()))
        each[name] = (after - before) / CROWD
        rows.append([name, f"{each[name]:.0f}", str(len(supervisors())), f"{after / 1024:.1f}"])
    table(f"{CROWD} idle containers", ["", "KiB each", "processes", "MiB in all"], rows)
    goal("pysup KiB for each container", each["pysup"], 128)
    goal(f"pysup CPU ms in {QUIET:g} s", _idle([daemon.pid, daemon.engine_pid]) * 1000, 0)


def _idle(pids: list[int]) -> float:
    """CPU seconds used in a time in which nothing happens."""
    begun = sum(map(cpu_seconds, pids))
    time.sleep(QUIET)
    return sum(map(cpu_seconds, pids)) - begun
