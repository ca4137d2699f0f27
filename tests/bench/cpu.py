"""CPU time of a start and an exec of ``true``, by who uses it: what holds on a machine that others use, too.

Not counted: what kernel threads do later (the removal of a network namespace, a cgroup's memory), and engines whose
processes are nobody's children.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path

from tests.bench.common import table
from tests.bench.exec import named, started, through_api
from tests.bench.lab import Lab
from tests.bench.peers import Oci
from tests.bench.start_exit import floor
from tests.bench.supervisor import run

TIMES = 200
IN_FLIGHT = 8
TRUE = "/bin/true"
_TICKS = os.sysconf("SC_CLK_TCK")

Used = dict[str, float]
"""Milliseconds, by who used them."""


def measure(lab: Lab) -> None:
    """Print milliseconds of CPU for each."""
    client = lab.pysup.client()
    peers = [peer for peer in lab.peers if isinstance(peer, Oci)]

    def start() -> None:
        run(client, "bench", [TRUE])

    with started(lab.pysup, *peers) as name:
        columns = {
            "start, one at a time": _each(lab, lambda: _in_a_row(start)),
            f"start, {IN_FLIGHT} in flight": _each(lab, lambda: _in_flight(lab)),
            "exec": _each(lab, lambda: _in_a_row(lambda: through_api(client, name))),
        }
        others: dict[str, tuple[Callable[[], object], ...]] = {
            peer.name: (lambda peer=peer: peer.run(TRUE), lambda peer=peer: peer.exec(named(peer), TRUE))  # type: ignore[misc]
            for peer in peers
        }
        if lab.floor is not None:
            others["C floor"] = (floor(lab),)
        theirs = {who: [_of_commands(once) for once in both] for who, both in others.items()}
    client.close()
    rows = [[who, *(f"{used[who]:.2f}" for used in columns.values())] for who in next(iter(columns.values()))]
    rows += [
        [who, f"{used[0]:.2f}", "", f"{used[1]:.2f}" if used[1:] else ""] for who, used in theirs.items()
    ]
    table("ms of CPU", ["", *columns], rows)


def _each(lab: Lab, work: Callable[[], object]) -> Used:
    work()
    before = _used(lab)
    work()
    after = _used(lab)
    used = {who: (after[who] - before[who]) / TIMES for who in before}
    return {**used, "all": sum(used.values())}


def _in_a_row(once: Callable[[], object], count: int = TIMES) -> None:
    for _ in range(count):
        once()


def _in_flight(lab: Lab) -> None:
    def work() -> None:
        client = lab.pysup.client()
        _in_a_row(lambda: run(client, "bench", [TRUE]), TIMES // IN_FLIGHT)

    threads = [threading.Thread(target=work) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _of_commands(once: Callable[[], object]) -> float:
    """Of commands and all that they waited for."""
    before = _of_our_children()
    _in_a_row(once, TIMES // 4)
    return (_of_our_children() - before) / (TIMES // 4)


def _of_our_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def _used(lab: Lab) -> Used:
    keeper, engine = lab.pysup.daemon.pid, lab.pysup.daemon.engine_pid
    main = _scheduled(engine)
    return {
        "engine, the event loop": main,
        "engine, its threads": _ticks(engine, 11) - main,
        "keeper": _scheduled(keeper),
        "the children": _ticks(keeper, 13),
        "the client": sum(os.times()[:2]) * 1000,
    }


def _scheduled(pid: int) -> float:
    """Of the first thread, counted in ns (proc_pid_schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def _ticks(pid: int, first: int) -> float:
    """A time in user mode and the one in the kernel behind it, of all threads or of all children (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[first]) + int(fields[first + 1])) * 1000 / _TICKS
