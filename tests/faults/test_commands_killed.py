"""SIGKILL, and upgrades, while commands of every kind are on their way: each is done, or says that it was cut off."""

from __future__ import annotations

import os
import random
import select
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.mortal import Mortal, until
from helpers.storage import assert_sound, rows
from helpers.storms import Storm, storming

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import Conflict, NotFound

pytestmark = pytest.mark.kernel

ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "8"))
SEED = int(os.environ.get("PYSUP_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LATEST = 0.6
"""Seconds after the beginning of a round until which the fault comes."""
FAULTS = ("engine", "keeper", "upgrade", "upgrade and engine")
SCRIPT = "echo out; echo err >&2; exit 3"


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    with Mortal(tmp_path) as running:
        running.pysup("run", "-d", "--name", "home", "--network", "none", "host", "sleep", "1000", check=True)
        yield running


def a_whole_life(client: Client) -> None:
    """A container with a volume, through all that can be asked of one; whatever cuts this off leaves it as it is."""
    name, host = f"life-{uuid.uuid4().hex[:8]}", {"Binds": ["shared:/data"], "NetworkMode": "none"}
    body = {"Image": "host", "Cmd": ["sleep", "1000"], "HostConfig": host, "Volumes": {"/own": {}}}
    made = client.post("/containers/create", body, query={"name": name})["Id"]
    path = f"/containers/{made}"
    client.post(f"{path}/start")
    client.post(f"{path}/rename", query={"name": f"{name}-again"})
    client.post(f"{path}/pause")
    client.post(f"{path}/update", {"Memory": 64 << 20, "MemorySwap": -1})
    client.post(f"{path}/unpause")
    client.post(f"{path}/restart", query={"t": "0"})
    client.post(f"{path}/update", {"RestartPolicy": {"Name": "always"}})
    client.post(f"{path}/stop", query={"t": "0"})
    shown = client.get(f"{path}/json")
    assert shown["Name"] == f"/{name}-again", shown["Name"]
    assert shown["State"]["Status"] == "exited", shown["State"]
    assert shown["HostConfig"]["Memory"] == 64 << 20, shown["HostConfig"]["Memory"]
    client.delete(path, query={"v": "1"})


def pruning(client: Client) -> None:
    """Containers at rest go, and volumes that nobody uses."""
    body = {"Image": "host", "Cmd": ["true"], "Labels": {"gone": ""}, "Volumes": {"/own": {}}}
    client.post("/containers/create", body | {"HostConfig": {"NetworkMode": "none"}})
    client.post("/containers/prune", query={"filters": '{"label": ["gone"]}'})
    client.post("/volumes/prune", query={"filters": '{"all": ["1"]}'})


def attached(mortal: Mortal) -> Callable[[Client], None]:
    """A command that is attached to a run sees all of it, or says that it does not."""

    def act(_client: Client) -> None:
        done = mortal.pysup("run", "--rm", "--network", "none", "host", "sh", "-c", SCRIPT)
        if "pysup: cannot " not in done.stderr:
            assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n"), done

    return act


def executing(mortal: Mortal) -> Callable[[Client], None]:
    """One that is attached to an exec sees all of it, or says that it does not."""

    def act(_client: Client) -> None:
        done = mortal.pysup("exec", "home", "sh", "-c", SCRIPT)
        if "pysup: cannot " in done.stderr:  # 1: before it was attached
            assert done.returncode in {1, 125}, done
        else:
            assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n"), done

    return act


def strike(mortal: Mortal, fault: str, dice: random.Random) -> None:
    """An upgrade may be overtaken by a kill at any of its steps."""
    if fault.startswith("upgrade"):
        mortal.upgrade()
    if fault.endswith("engine"):
        select.select([], [], [], dice.uniform(0, LATEST) if "and" in fault else 0)
        mortal.kill("engine")
    elif fault == "keeper":
        mortal.kill("keeper")
    mortal.wait_until_it_serves()


def test_every_command_is_done_or_says_that_it_was_cut_off(mortal: Mortal) -> None:
    print("seed", SEED)
    dice = random.Random(SEED)
    faster = (NotFound, Conflict)
    storms = [
        Storm(mortal, a_whole_life),
        Storm(mortal, pruning, faster),
        Storm(mortal, attached(mortal)),
        Storm(mortal, executing(mortal)),
    ]
    with storming(storms):
        for number in range(ROUNDS):
            select.select([], [], [], dice.uniform(0, LATEST))  # the moment is the fault
            strike(mortal, FAULTS[number % len(FAULTS)], dice)
    until(lambda: rows(mortal.root, "SELECT * FROM exec WHERE state = 'running'") == [], "the execs' ends")
    assert len(mortal.pysup("top", "home", check=True).stdout.splitlines()) == 2
    assert_sound(mortal.root)
    assert_everything_can_go(mortal)


def assert_everything_can_go(mortal: Mortal) -> None:
    left = "SELECT id FROM container WHERE state <> 'removed'"
    for (made,) in rows(mortal.root, left):
        mortal.pysup("rm", "-fv", made, check=True)
    mortal.pysup("volume", "prune", "-af", check=True)
    until(lambda: rows(mortal.root, left) == [], "the removal of those with --rm")
    until(lambda: mortal.cgroups() == set(), "the end of their cgroups")
    assert rows(mortal.root, "SELECT * FROM volume") == []
    assert list((mortal.root / "volumes").iterdir()) == []
    until(lambda: list((mortal.root / "trash").iterdir()) == [], "what was removed is unlinked")
    remembered = {made for (made,) in rows(mortal.root, "SELECT id FROM container")}
    assert {path.name for path in (mortal.root / "containers").iterdir()} <= remembered
