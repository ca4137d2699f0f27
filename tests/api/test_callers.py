"""Events tell who asked for what they tell of (SO_PEERCRED), and pysup only of what it did by itself."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel


def callers(daemon: Daemon, *actions: str) -> list[tuple[str, str, int, bool]]:
    """Action, program, uid and whether there is a pid, of each of these events in their order."""
    query = "select action, caller, caller_uid, caller_pid from event order by id"
    rows = json.loads(daemon.pysup("query", "--json", query, check=True).stdout)
    named = [(row["action"].partition(":")[0], row) for row in rows]
    return [
        (action, row["caller"], row["caller_uid"], row["caller_pid"] > 1)
        for action, row in named
        if action in actions
    ]


def test_who_asked_for_a_start_an_exec_and_an_end(daemon: Daemon) -> None:
    quiet = ("--network", "none", "--stop-signal", "KILL")
    daemon.docker("run", "-d", "--name", "box", *quiet, "host", "sleep", "1000")
    daemon.docker("exec", "box", "true")
    daemon.docker("restart", "box")
    daemon.docker("stop", "box")
    asked = ["create", "start", "exec_create", "exec_start", "kill", "stop", "start", "kill", "stop"]
    found = callers(daemon, "create", "start", "exec_create", "exec_start", "kill", "stop")
    assert found == [(action, "docker", os.getuid(), True) for action in asked]
    history = daemon.pysup("query", "--json", "select asked_by from run order by number", check=True).stdout
    assert all(row["asked_by"].startswith("docker (pid ") for row in json.loads(history))
    daemon.pysup("rm", "box", check=True)


def test_what_a_policy_starts_nobody_has_asked_for(daemon: Daemon) -> None:
    words = ("--restart", "on-failure:1", "--restart-delay", "0", "--network", "none")
    daemon.docker("run", "-d", "--name", "again", *words[:2], *words[4:], "host", "false")
    daemon.pysup("wait", "again")
    starts = callers(daemon, "start")
    assert starts == [("start", "docker", 0, True), ("start", "pysup", 0, False)]
    asked = daemon.pysup("history", "--format", "{{.AskedBy}}", "again", check=True).stdout.splitlines()
    assert asked[0].startswith("docker (pid ") and asked[1:] == ["restart policy"]
    daemon.pysup("rm", "again", check=True)


def test_another_user_is_named(daemon: Daemon) -> None:
    """The socket is opened for the group of who asks."""
    os.chmod(daemon.socket, 0o666)  # noqa: S103 - a test's own socket
    daemon.pysup("create", "--name", "his", "--network", "none", "host", "true", check=True)
    words = ["docker", "-H", f"unix://{daemon.socket}", "start", "his"]
    subprocess.run(
        words, user=1234, group=1234, env={"HOME": "/"} | os.environ, check=True, capture_output=True
    )
    assert callers(daemon, "start") == [("start", "docker", 1234, True)]
    daemon.pysup("wait", "his", check=True)
    daemon.pysup("rm", "his", check=True)
