"""Many clients with the same few containers at once: every request is answered, and the engine is the same after."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.daemon import Daemon

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError

pytestmark = pytest.mark.kernel

SECONDS = 5.0
CLIENTS = 8
NAMES = [f"race{number}" for number in range(4)]
NETWORK = "races"
ANSWERED_WITHIN = 60.0


class Hand(threading.Thread):
    """One client that does what comes into its mind, until the time is over; ``wrong``: what should never be said."""

    def __init__(self, socket: Path, seed: int, until: float) -> None:
        super().__init__(daemon=True)
        self.client = Client(f"unix://{socket}")
        self.chance = random.Random(seed)
        self.until = until
        self.doing = ""
        self.wrong: list[str] = []

    def run(self) -> None:
        while time.monotonic() < self.until:
            name, act = self.chance.choice(NAMES), self.chance.choice(ACTS)
            self.doing = f"{act.__name__} {name}"
            try:
                act(self, name)
            except PysupError as error:
                if "internal error" in str(error) or "closed the connection" in str(error):
                    self.wrong.append(f"{self.doing}: {error}")
        self.client.close()


def create(hand: Hand, name: str) -> None:
    own = {"Secrets": [{"Data": "eA==", "Target": "x"}]} if hand.chance.random() < 0.3 else {}
    host = {
        "NetworkMode": hand.chance.choice(["none", NETWORK]),
        "AutoRemove": hand.chance.random() < 0.3,
        "Binds": ["shared:/v"] if hand.chance.random() < 0.3 else [],
        "Pysup": own,
    }
    command = hand.chance.choice([["true"], ["sleep", "0.2"], ["sleep", "9"]])
    body = {"Image": "host", "Cmd": command, "StopSignal": "KILL", "HostConfig": host}
    hand.client.post("/containers/create", body, query={"name": name})


def execute(hand: Hand, name: str) -> None:
    command = hand.chance.choice([["true"], ["sleep", "1"], ["nothing-of-this-name"]])
    made = hand.client.post(f"/containers/{name}/exec", {"Cmd": command})["Id"]
    hand.client.post(f"/exec/{made}/start", {"Detach": True})


def remove(hand: Hand, name: str) -> None:
    hand.client.delete(f"/containers/{name}", query={"force": "1", "v": "1"})


def rename(hand: Hand, name: str) -> None:
    hand.client.post(f"/containers/{name}/rename", query={"name": hand.chance.choice(NAMES)})


def stop(hand: Hand, name: str) -> None:
    hand.client.post(f"/containers/{name}/stop", query={"t": "0"})


def update(hand: Hand, name: str) -> None:
    hand.client.post(f"/containers/{name}/update", {"PidsLimit": hand.chance.choice([50, 100])})


def look(hand: Hand, name: str) -> None:
    hand.client.get(f"/containers/{name}/{hand.chance.choice(['json', 'top', 'changes'])}")


def read_log(hand: Hand, name: str) -> None:
    with hand.client.stream("GET", f"/containers/{name}/logs", query={"stdout": "1"}) as output:
        list(output)


def export(hand: Hand, name: str) -> None:
    with hand.client.exchange("GET", f"/containers/{name}/export") as opened:
        next(iter(opened.pieces()), b"")  # and leaves


def network(hand: Hand, name: str) -> None:
    path, body = hand.chance.choice(
        [
            ("/networks/create", {"Name": NETWORK}),
            (f"/networks/{NETWORK}/connect", {"Container": name}),
            (f"/networks/{NETWORK}/disconnect", {"Container": name, "Force": True}),
        ]
    )
    hand.client.post(path, body)


def prune(hand: Hand, _name: str) -> None:
    kind = hand.chance.choice(["networks", "volumes", "images", "build"])
    hand.client.post(f"/{kind}/prune")


def disk_use(hand: Hand, _name: str) -> None:
    hand.client.get("/system/df")


def _post(verb: str) -> Callable[[Hand, str], None]:
    def act(hand: Hand, name: str) -> None:
        hand.client.post(f"/containers/{name}/{verb}")

    act.__name__ = verb
    return act


ACTS: list[Callable[[Hand, str], None]] = [
    *(create, execute, remove, rename, stop, update, look, read_log, export, network, prune, disk_use),
    *map(_post, ("start", "restart", "kill", "pause", "unpause")),
]


def test_whatever_they_do_together(shared: Daemon) -> None:
    engine = shared.engine_pid
    until = time.monotonic() + SECONDS
    hands = [Hand(shared.socket, seed, until) for seed in range(CLIENTS)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(max(0.0, until + ANSWERED_WITHIN - time.monotonic()))
    assert [hand.doing for hand in hands if hand.is_alive()] == []
    assert [told for hand in hands for told in hand.wrong] == []
    assert shared.engine_pid == engine, shared.log.read_text()[-5000:]
    for name in shared.pysup("ps", "-aq").stdout.split():
        shared.pysup("rm", "-fv", name, check=True)
    shared.pysup("network", "prune", "-f", check=True)


def test_a_restart_that_a_removal_overtakes_is_answered(shared: Daemon) -> None:
    words = ["--network", "none", "--stop-timeout", "-1", "--name", "slow"]
    shared.pysup("run", "-d", *words, "host", "sh", "-c", "trap '' TERM; sleep 1000", check=True)
    said: list[str] = []

    def restart() -> None:
        try:
            Client(f"unix://{shared.socket}").post("/containers/slow/restart")
        except PysupError as error:
            said.append(str(error))

    thread = threading.Thread(target=restart, daemon=True)
    thread.start()
    while "stopping" not in shared.pysup("query", "select state from container where name = 'slow'").stdout:
        pass
    shared.pysup("rm", "-f", "slow", check=True)
    thread.join(30)
    assert said and "it was removed meanwhile" in said[0]


def test_an_id_that_all_choose_is_one_container_s(shared: Daemon) -> None:
    chosen, answers = "cd" * 32, list[str]()

    def choose() -> None:
        with contextlib.closing(Client(f"unix://{shared.socket}")) as client:
            body = {"Image": "host", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
            try:
                answers.append(client.post("/containers/create", body, query={"id": chosen})["Id"])
            except PysupError as error:
                answers.append(str(error))

    threads = [threading.Thread(target=choose) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = f"cannot create container: the id {chosen} is taken"
    assert sorted(answers) == [*([refused] * (CLIENTS - 1)), chosen]
    assert shared.pysup("start", "-a", chosen).returncode == 0
    shared.pysup("rm", chosen, check=True)
    with pytest.raises(PysupError, match=r"invalid id '\.\./x'"):
        Client(f"unix://{shared.socket}").post("/containers/create", {"Image": "host"}, query={"id": "../x"})
