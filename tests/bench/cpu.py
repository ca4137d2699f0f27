"""CPU time of a start and an exec of ``true``, by who uses it: what holds on a machine that others use, too.

Not counted: what kernel threads do later (the removal of a network namespace, a cgroup's memory).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from tests.bench.common import table
from tests.bench.exec import started, through_api
from tests.bench.lab import Lab
from tests.bench.supervisor import run

STARTS = 200
IN_FLIGHT = 8
TRUE = "/bin/true"
_TICKS = os.sysconf("SC_CLK_TCK")

Used = dict[str, float]
"""Milliseconds, by who used them."""


def measure(lab: Lab) -> None:
    """Print milliseconds of CPU for each."""
    client = lab.pysup.client()

    def start() -> None:
        run(client, "bench", [TRUE])

    with started(lab.pysup) as name:
        columns = {
            "start, one at a time": _each(lab, lambda: _in_a_row(start, STARTS)),
            f"start, {IN_FLIGHT} in flight": _each(lab, lambda: _in_flight(lab)),
            "exec": _each(lab, lambda: _in_a_row(lambda: through_api(client, name), STARTS)),
        }
    client.close()
    rows = [[who, *(f"{used[who]:.2f}" for used in columns.values())] for who in next(iter(columns.values()))]
    table(f"ms of CPU for one of {STARTS}", ["", *columns], rows)


def _each(lab: Lab, work: Callable[[], object]) -> Used:
    work()
    before = _used(lab)
    work()
    after = _used(lab)
    used = {who: (after[who] - before[who]) / STARTS for who in before}
    return {**used, "all": sum(used.values())}


def _in_a_row(once: Callable[[], object], count: int) -> None:
    for _ in range(count):
        once()


def _in_flight(lab: Lab) -> None:
    def work() -> None:
        client = lab.pysup.client()
        _in_a_row(lambda: run(client, "bench", [TRUE]), STARTS // IN_FLIGHT)

    threads = [threading.Thread(target=work) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _used(lab: Lab) -> Used:
    keeper, engine = lab.pysup.daemon.pid, lab.pysup.daemon.engine_pid
    main = _scheduled(engine, engine)
    return {
        "engine, the event loop": main,
        "engine, its threads": sum(_scheduled(engine, thread) for thread in _threads(engine)) - main,
        "keeper": _scheduled(keeper, keeper),
        "the children": _of_children(keeper),
        "the client": sum(os.times()[:2]) * 1000,
    }


def _threads(pid: int) -> list[int]:
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def _scheduled(pid: int, thread: int) -> float:
    """Time on a CPU, counted in ns (proc_pid_schedstat)."""
    return int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) / 1e6


def _of_children(pid: int) -> float:
    """Of those that were waited for (proc_pid_stat(5), cutime and cstime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * 1000 / _TICKS
