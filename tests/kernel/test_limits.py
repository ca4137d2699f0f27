"""Limits, usage, OOM, pause and kill through a real daemon, on whichever cgroup version the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.daemon import CGROUPS, Daemon

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import Conflict

pytestmark = [pytest.mark.kernel, pytest.mark.vm]

UNIFIED = (CGROUPS / "cgroup.controllers").exists()
MIB = 1 << 20


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    """The daemon's API."""
    with closing(daemon.client()) as found:
        yield found


def start(client: Client, argv: list[str], **host_config: Any) -> str:
    body = {"Image": "host", "Cmd": argv, "HostConfig": {"NetworkMode": "none", **host_config}}
    container = str(client.post("/containers/create", body)["Id"])
    client.post(f"/containers/{container}/start")
    return container


def end(client: Client, container: str) -> dict[str, Any]:
    with client.wait(container, "not-running") as waiting:
        waiting.result()
    state: dict[str, Any] = client.get(f"/containers/{container}/json")["State"]
    return state


def limit(daemon: Daemon, container: str, v1: str, v2: str) -> str:
    """What a limit's file says on the host."""
    name = (
        f"{daemon.cgroup}/{container}/{v2}"
        if UNIFIED
        else f"{v1.split('.', maxsplit=1)[0]}/{daemon.cgroup}/{container}/{v1}"
    )
    return (CGROUPS / name).read_text().strip()


def test_limits_are_in_force_and_change_live(daemon: Daemon, client: Client) -> None:
    container = start(
        client, ["sleep", "1000"], Memory=64 * MIB, NanoCpus=500_000_000, PidsLimit=20, CpuShares=100
    )
    assert limit(daemon, container, "memory.limit_in_bytes", "memory.max") == str(64 * MIB)
    assert limit(daemon, container, "pids.max", "pids.max") == "20"
    assert limit(daemon, container, "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert limit(daemon, container, "cpu.shares", "cpu.weight") == ("17" if UNIFIED else "100")
    client.post(f"/containers/{container}/update", {"Memory": 128 * MIB, "MemorySwap": 256 * MIB})
    assert limit(daemon, container, "memory.limit_in_bytes", "memory.max") == str(128 * MIB)


def test_an_oom_kill_is_told(client: Client) -> None:
    eat = "x = bytearray(100 << 20)"
    container = start(client, ["/usr/bin/python3", "-c", eat], Memory=32 * MIB, MemorySwap=32 * MIB)
    state = end(client, container)
    assert (state["ExitCode"], state["OOMKilled"]) == (137, True)
    (run,) = client.get(f"/pysup/containers/{container}/history")
    assert (run["OOMKilled"], run["EndedBy"]) == (True, "oom")


def test_the_pids_limit_holds(client: Client) -> None:
    forks = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait"
    state = end(client, start(client, ["sh", "-c", forks], PidsLimit=4))
    assert state["ExitCode"] != 0


def test_pause_stops_everything_and_kill_ends_it(daemon: Daemon, client: Client) -> None:
    container = start(client, ["sh", "-c", "sleep 1000 & sleep 1000"])
    client.post(f"/containers/{container}/pause")
    assert client.get(f"/containers/{container}/json")["State"]["Status"] == "paused"
    frozen = limit(daemon, container, "freezer.state", "cgroup.freeze")
    assert frozen == ("1" if UNIFIED else "FROZEN")
    with pytest.raises(Conflict):
        client.post(f"/containers/{container}/pause")
    client.post(f"/containers/{container}/kill")
    assert end(client, container)["ExitCode"] == 137


def test_usage_is_counted(client: Client) -> None:
    container = start(client, ["sh", "-c", "read x < /etc/passwd; sleep 1000"], Memory=64 * MIB)
    stats = client.get(f"/containers/{container}/stats", query={"stream": "0", "one-shot": "1"})
    assert stats["memory_stats"]["limit"] == 64 * MIB
    assert 0 < stats["memory_stats"]["usage"] < 64 * MIB
    assert stats["pids_stats"]["current"] >= 1
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] > 0


def test_no_cgroup_is_left(daemon: Daemon, client: Client) -> None:
    assert end(client, start(client, ["true"]))["ExitCode"] == 0
    assert [path for path in Path(CGROUPS).glob(f"**/{daemon.cgroup}/*/") if path.is_dir()] == []
