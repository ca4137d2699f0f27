"""The events of a container's life, with those of its networks and volumes: the lists are those of a docker daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

BEGINNING = ["container create", "network connect bridge", "container start"]
KILLED = ["container kill 9", "container die", "network disconnect bridge", "container destroy"]
FOREVER = ("host", "sleep", "1000")


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


def told(daemon: Daemon, *commands: Sequence[str]) -> list[str]:
    """What the commands have brought about."""
    before = str(time.time())
    for command in commands:
        daemon.pysup(*command, check=True)
    words = ("events", "--since", before, "--until", str(time.time()), "--format", "{{json .}}")
    return [_line(json.loads(line)) for line in daemon.pysup(*words, check=True).stdout.splitlines()]


def _line(event: dict[str, object]) -> str:
    actor = event["Actor"]
    assert isinstance(actor, dict)
    more = actor["Attributes"].get("signal", "")
    if event["Type"] == "network":
        more = actor["Attributes"]["name"]
    return f"{event['Type']} {event['Action']} {more}".rstrip()


def test_one_that_ends_by_itself(daemon: Daemon) -> None:
    expected = ["container die", "network disconnect bridge", "container destroy"]
    assert told(daemon, ("run", "--rm", "host", "true")) == [*BEGINNING, *expected]


@pytest.mark.parametrize("options", [(), ("--rm",)])
def test_one_that_runs_is_killed_before_it_is_removed(daemon: Daemon, options: tuple[str, ...]) -> None:
    run = ("run", "-d", "--name", "web", *options, *FOREVER)
    assert told(daemon, run, ("rm", "-f", "web")) == [*BEGINNING, *KILLED]


def test_one_that_is_paused_is_killed_before_it_is_removed(daemon: Daemon) -> None:
    run = ("run", "-d", "--name", "web", *FOREVER)
    found = told(daemon, run, ("pause", "web"), ("rm", "-f", "web"))
    assert found == [*BEGINNING, "container pause", *KILLED]


def test_volumes_are_let_go_after_the_networks(daemon: Daemon) -> None:
    run = ("run", "-d", "--name", "web", "-v", "/data", *FOREVER)
    assert told(daemon, run, ("rm", "-fv", "web")) == [
        *("volume create", "container create", "network connect bridge", "volume mount", "container start"),
        *("container kill 9", "container die", "network disconnect bridge", "volume unmount"),
        *("volume destroy", "container destroy"),
    ]


@pytest.mark.parametrize("network", ["host", "none"])
def test_networks_without_a_bridge_are_told_of(daemon: Daemon, network: str) -> None:
    assert told(daemon, ("run", "--rm", "--network", network, "host", "true")) == [
        *("container create", f"network connect {network}", "container start"),
        *("container die", f"network disconnect {network}", "container destroy"),
    ]


def test_every_run_joins_its_networks_and_leaves_them(daemon: Daemon) -> None:
    daemon.pysup("network", "create", "further", check=True)
    start = ("create", "--name", "web", *FOREVER), ("network", "connect", "further", "web"), ("start", "web")
    joined = ["network connect bridge", "network connect further"]
    left = ["network disconnect bridge", "network disconnect further"]
    assert told(daemon, *start) == ["container create", *joined, "container start"]
    assert told(daemon, ("restart", "-t", "0", "-s", "KILL", "web")) == [
        *("container kill 9", "container die", *left, "container stop"),
        *(*joined, "container start", "container restart"),
    ]
    assert told(daemon, ("network", "disconnect", "further", "web")) == ["network disconnect further"]
    daemon.pysup("rm", "-f", "web", check=True)
    daemon.pysup("network", "rm", "further", check=True)


def test_one_in_another_one_s_network_joins_none(daemon: Daemon) -> None:
    daemon.pysup("run", "-d", "--name", "web", *FOREVER, check=True)
    assert told(daemon, ("run", "--rm", "--network", "container:web", "host", "true")) == [
        *("container create", "container start", "container die", "container destroy")
    ]


def test_a_removal_by_force_is_told_in_the_history_of_whoever_asked(daemon: Daemon) -> None:
    """Asked for by its id: others of this name have run within the same second."""
    made = daemon.pysup("run", "-d", "--name", "web", *FOREVER, check=True).stdout.strip()
    daemon.pysup("rm", "-f", "web", check=True)
    words = ("query", "--json", "-p", "id", made[:12])
    sql = "select ended_by, exit_code from history where id = :id"
    assert json.loads(daemon.pysup(*words, sql, check=True).stdout) == [
        {"ended_by": "kill", "exit_code": 137}
    ]
