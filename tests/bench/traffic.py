"""What a network carries: from container to container, and through a published port; beside a docker daemon's."""

from __future__ import annotations

import json
import select
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from tests.bench.common import call, goal, table
from tests.bench.docker_alone import DockerAlone
from tests.bench.lab import Lab
from tests.bench.peers import DockerLike

STREAM = "/bin/stream"
PORT, PUBLISHED = "5201", "15201"
MILLISECONDS = "250"
_MORE = 6
"""Times the rounds of others: a short turn each, so that what is compared was measured next to each other."""
SERVER, CLIENT = "bench-server", "bench-client"
_OURS: Sequence[str] = ()
_REST = 0.05
"""Seconds before each turn, so that none begins with what the one before has used up."""

Carried = dict[str, list[float]]


def measure(lab: Lab) -> None:
    """Print medians in MB/s, taken in turns."""
    with ExitStack() as stack:
        engines: dict[str, tuple[DockerLike, Sequence[str]]] = {"pysup": (lab.pysup, _OURS)}
        if DockerAlone.is_installed():
            docker = stack.enter_context(DockerAlone(lab.directory / "docker-alone", lab.archive))
            engines["docker"] = (docker, ["nsenter", "-t", str(docker.host_pid), "-n"])
        ways: dict[str, tuple[str, Callable[[], float]]] = {}
        for name, (engine, inside) in engines.items():
            stack.callback(engine.remove, SERVER, CLIENT)
            for way, once in _ways(engine, inside, str(lab.directory / "rootfs" / STREAM[1:])).items():
                ways[f"{name}, {way}"] = way, once
        rates = _take_turns(dict(sorted(ways.items(), key=lambda one: one[1][0])), _MORE * lab.rounds)
    bests = {name: _undisturbed(found) for name, found in rates.items()}
    table("TCP through networks", ["", "median MB/s", "best tenth"], [
        [name, f"{statistics.median(rates[name]):.0f}", f"{best:.0f}"] for name, best in bests.items()
    ])  # fmt: skip
    for way in dict.fromkeys(way for way, _ in ways.values()):
        theirs = bests.get(f"docker, {way}")
        found = bests[f"pysup, {way}"] / theirs if theirs else None
        goal(f"{way}, pysup : docker, best tenths", found, 0.95, at_least=True)


def _undisturbed(found: list[float]) -> float:
    """What else the machine does only takes away: the best turns are those that nobody else was running in."""
    return statistics.quantiles(found, n=10)[-1]


def _ways(engine: DockerLike, inside: Sequence[str], client: str) -> dict[str, Callable[[], float]]:
    """Two containers on the default bridge; ``inside``: how to be on the engine's host.

    ``client`` is started in a container's network without an exec: how long that takes changes who has the CPUs.
    """
    words = [*engine.words, "run", "-d", "--network", "bridge", "--name"]
    image = engine.image
    call([*words, SERVER, "-p", f"{PUBLISHED}:{PORT}", image, STREAM, PORT])
    call([*words, CLIENT, image, "/bin/sleep", "100000"])
    found: Any = json.loads(engine.inspect(SERVER))[0]["NetworkSettings"]["Networks"]["bridge"]
    beside = ["nsenter", "-t", str(engine.pid(CLIENT)), "-n"]
    within = [*beside, client, found["IPAddress"], PORT, MILLISECONDS]
    published = [*inside, client, found["Gateway"], PUBLISHED, MILLISECONDS]
    return {
        "container to container": lambda: float(call(within)),
        "published port": lambda: float(call(published)),
    }


def _take_turns(subjects: dict[str, tuple[str, Callable[[], float]]], rounds: int) -> Carried:
    """After a round for warming up; who goes first changes from round to round."""
    rates: Carried = {name: [] for name in subjects}
    for number in range(-1, rounds):
        order = list(subjects.items())
        for name, (_, once) in order if number % 2 else reversed(order):
            select.select([], [], [], _REST)
            rate = once()
            if number >= 0:
                rates[name].append(rate)
    return rates
