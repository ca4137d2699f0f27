"""Containers a second with eight in flight: each from its start to the removal of the last trace."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

from tests.bench.common import call, goal, table
from tests.bench.lab import Lab
from tests.bench.supervisor import run

IN_FLIGHT = 8
SECONDS = 4.0
TRUE = "/bin/true"

Worker = Callable[[], object]


def measure(lab: Lab) -> None:
    """Print containers a second."""
    makers: dict[str, Callable[[], Worker]] = {"pysup API": lambda: _through_api(lab)}
    for peer in lab.peers:
        makers[peer.name] = lambda peer=peer: lambda: peer.run(TRUE)  # type: ignore[misc]
    if lab.floor is not None:
        makers["C floor"] = lambda: _floor(lab)
    rates = {name: _rate(make) for name, make in makers.items()}
    base = rates["pysup API"]
    rows = [[name, f"{rate:.1f}", f"{rate / base:.2f}"] for name, rate in rates.items()]
    table(f"containers a second, {IN_FLIGHT} in flight", ["", "1/s", "x pysup"], rows)
    goal("containers a second", base, 100, at_least=True)


def _through_api(lab: Lab) -> Worker:
    client = lab.pysup.client()
    return lambda: run(client, "bench", [TRUE])


_numbers = itertools.count()


def _floor(lab: Lab) -> Worker:
    return lambda: call([lab.floor, lab.rootfs, lab.directory / f"flight-{next(_numbers)}", TRUE])


def _rate(make: Callable[[], Worker]) -> float:
    """Eight threads work for some seconds; how many containers a second they made."""
    done = itertools.count()
    begin = time.perf_counter()

    def work() -> None:
        once = make()
        while time.perf_counter() < begin + SECONDS:
            once()
            next(done)

    threads = [threading.Thread(target=work) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return next(done) / (time.perf_counter() - begin)
