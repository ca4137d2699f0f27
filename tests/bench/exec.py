"""A further process in a running container: ``true``, to its exit code."""

from __future__ import annotations

import select
from collections.abc import Callable

from pysup.supervisor.client.sync import Client
from tests.bench.common import command, goal, ratio, report, take_turns
from tests.bench.lab import Lab
from tests.bench.peers import Peer

NAME = "bench-exec"
TRUE = "/bin/true"


def measure(lab: Lab) -> None:
    """Print medians, through the API and as commands."""
    peers: list[Peer] = [lab.pysup, *lab.peers]
    for peer in peers:
        peer.start(_name(peer), "/bin/sleep", "100000")
    try:
        client = lab.pysup.client()
        subjects: dict[str, Callable[[], object]] = {
            "pysup API": lambda: _through_api(client, _name(lab.pysup)),
            "pysup exec": lambda: lab.pysup.exec(_name(lab.pysup), TRUE),
        }
        for peer in lab.peers:
            subjects[peer.name] = lambda peer=peer: peer.exec(_name(peer), TRUE)  # type: ignore[misc]
        pid = lab.pysup.pid(_name(lab.pysup))
        subjects["nsenter"] = command(["nsenter", "--target", pid, "--all", TRUE])
        times = take_turns(subjects, lab.rounds)
        client.close()
    finally:
        for peer in peers:
            peer.remove(_name(peer))
    report("exec of `true`", times, base="pysup API")
    goal("API : crun exec with seccomp", ratio(times, "pysup API", "crun"), 1)
    goal("API : crun exec plain", ratio(times, "pysup API", "crun plain"), 1)
    goal("command : docker exec", ratio(times, "pysup exec", "docker"), 1)


def _name(peer: Peer) -> str:
    return f"{NAME}-{peer.name.replace(' ', '-')}"


def _through_api(client: Client, name: str) -> None:
    """Create, start, the streams to their end, and the exit code."""
    body = {"Cmd": [TRUE], "AttachStdout": True, "AttachStderr": True}
    made = client.post(f"/containers/{name}/exec", body)
    with client.hijack(f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False}) as stream:
        while True:
            select.select([stream], [], [])
            if stream.receive() is None:
                break
    if client.get(f"/exec/{made['Id']}/json")["ExitCode"] != 0:
        raise SystemExit("the exec failed")
