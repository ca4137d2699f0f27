"""A further process in a running container: ``true``, to its exit code."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pysup.supervisor.client.opened import Stream
from pysup.supervisor.client.sync import Client
from tests.bench.common import command, goal, ratio, report, take_turns
from tests.bench.lab import Lab
from tests.bench.peers import Peer

NAME = "bench-exec"
TRUE = "/bin/true"


def measure(lab: Lab) -> None:
    """Print medians, through the API and as commands."""
    with started(lab.pysup, *lab.peers) as name:
        client = lab.pysup.client()
        subjects: dict[str, Callable[[], object]] = {
            "pysup API": lambda: at_once(client, name),
            "pysup API, docker's way": lambda: through_api(client, name),
            "pysup exec": lambda: lab.pysup.exec(name, TRUE),
        }
        for peer in lab.peers:
            subjects[peer.name] = lambda peer=peer: peer.exec(named(peer), TRUE)  # type: ignore[misc]
        pid = lab.pysup.pid(name)
        subjects["nsenter"] = command(["nsenter", "--target", pid, "--all", TRUE])
        times = take_turns(subjects, lab.rounds)
        client.close()
    report("exec of `true`", times, base="pysup API")
    goal("API : crun exec with seccomp", ratio(times, "pysup API", "crun"), 1)
    goal("API : crun exec plain", ratio(times, "pysup API", "crun plain"), 1)
    goal("command : docker exec", ratio(times, "pysup exec", "docker"), 1)


@contextmanager
def started(*peers: Peer) -> Iterator[str]:
    """A container of each that sleeps; the name of the first one's."""
    for peer in peers:
        peer.start(named(peer), "/bin/sleep", "100000")
    try:
        yield named(peers[0])
    finally:
        for peer in peers:
            peer.remove(named(peer))


def named(peer: Peer) -> str:
    """What its container is called."""
    return f"{NAME}-{peer.name.replace(' ', '-')}"


def at_once(client: Client, name: str) -> None:
    """Everything in one exchange."""
    body = {"Cmd": [TRUE], "AttachStdout": True, "AttachStderr": True}
    with client.hijack(f"/pysup/containers/{name}/exec", body) as stream:
        read_to_end(stream)
        if stream.end["ExitCode"] != 0:
            raise SystemExit("the exec failed")


def through_api(client: Client, name: str) -> None:
    """Create, start, the streams to their end, and the exit code: docker's three exchanges."""
    body = {"Cmd": [TRUE], "AttachStdout": True, "AttachStderr": True}
    made = client.post(f"/containers/{name}/exec", body)
    with client.hijack(f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False}) as stream:
        read_to_end(stream)
    if client.get(f"/exec/{made['Id']}/json")["ExitCode"] != 0:
        raise SystemExit("the exec failed")


def read_to_end(stream: Stream) -> None:
    """All of a process's output."""
    while True:
        select.select([stream], [], [])
        if stream.receive() is None:
            return
