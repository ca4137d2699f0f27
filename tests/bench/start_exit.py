"""Start and exit of ``true`` with everything that a container has: through the API, and as a command."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tests.bench.common import call, command, goal, ratio, report, take_turns
from tests.bench.lab import Lab
from tests.bench.supervisor import cycle, run

TRUE = "/bin/true"


def measure(lab: Lab) -> None:
    """Print medians, and the ratios that are wanted."""
    client = lab.pysup.client()
    subjects: dict[str, Callable[[], object]] = {
        "pysup API": lambda: run(client, "bench", [TRUE]),
        "pysup API, docker's way": lambda: cycle(client, "bench", [TRUE]),
        "pysup run": lambda: lab.pysup.run(TRUE),
        "pysup run host": command([*lab.pysup.words, "run", "--rm", "--network=none", "host", "true"]),
    }
    for peer in lab.peers:
        subjects[peer.name] = lambda peer=peer: peer.run(TRUE)  # type: ignore[misc]
    if lab.floor is not None:
        subjects["C floor"] = floor(lab)
    times = take_turns(subjects, lab.rounds)
    report("start and exit of `true`", times, base="pysup API")
    goal("API : crun with seccomp", ratio(times, "pysup API", "crun"), 0.5)
    goal("API : C floor", ratio(times, "pysup API", "C floor"), 2.5)
    goal("run host : podman", ratio(times, "pysup run host", "podman"), 0.6)
    goal("run host : docker", ratio(times, "pysup run host", "docker"), 0.35)
    client.close()


def floor(lab: Lab) -> Callable[[], object]:
    numbers = itertools.count()
    return lambda: call([lab.floor, lab.rootfs, lab.directory / f"floor-{next(numbers)}", TRUE])
