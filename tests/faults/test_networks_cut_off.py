"""The engine is killed at a certain moment of a container's network: the next one finishes, or ends, what it finds."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.mortal import Mortal, until
from helpers.netlab import ip
from helpers.network_use import clear_networks, fetch, networks_of, ok, serve

pytestmark = pytest.mark.kernel

SLEEP = ("host", "sleep", "1000")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with Mortal(tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(daemon: Mortal) -> Iterator[None]:
    yield
    clear_networks(daemon)


@pytest.fixture
def parent() -> Iterator[str]:
    """An interface of the host, with a cable."""
    ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    for name in ("lan0", "lan1"):
        ip("link", "set", name, "up")
    yield "lan0"
    ip("link", "delete", "lan0")


def inside(daemon: Mortal, container: str, *words: str) -> str:
    """The output of ip(8) in a container's network namespace, with the power of the host's root."""
    pid = ok(daemon, "inspect", "-f", "{{.State.Pid}}", container).strip()
    return subprocess.check_output(["nsenter", "-t", pid, "-n", "ip", *words], text=True)


@pytest.mark.parametrize("made", ["nothing", "a bare interface", "all of it"])
def test_a_container_that_came_on_a_macvlan_is_on_it_after_a_kill(
    daemon: Mortal, parent: str, made: str
) -> None:
    """The endpoint is a row in each case; a whole interface is left as it is, with what it has counted."""
    lan = ("--subnet", "10.78.0.0/24", "--gateway", "10.78.0.1")
    ok(daemon, "network", "create", "-d", "macvlan", "-o", f"parent={parent}", *lan, "lan")
    ok(daemon, "run", "-d", "--name", "web", "--network", "bridge", *SLEEP)
    ok(daemon, "network", "connect", "--ip", "10.78.0.9", "lan", "web")
    look = ("-j", "addr", "show", "dev", "eth1")
    (before,) = json.loads(inside(daemon, "web", *look))
    if made != "all of it":
        inside(daemon, "web", "link", "delete", "eth1")
    if made == "a bare interface":
        pid = ok(daemon, "inspect", "-f", "{{.State.Pid}}", "web").strip()
        ip("link", "add", "link", parent, "name", "bare0", "type", "macvlan")
        ip("link", "set", "bare0", "netns", pid, "name", "eth1")
    daemon.kill("engine")
    daemon.wait_until_it_serves()

    def is_there() -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            (found,) = json.loads(inside(daemon, "web", *look))
            return "UP" in found["flags"] and [one["local"] for one in found["addr_info"]] == ["10.78.0.9"]
        return False

    until(is_there, "the interface")
    (after,) = json.loads(inside(daemon, "web", *look))
    assert after["address"] == networks_of(daemon, "web")["lan"]["MacAddress"]
    assert (after["ifindex"] == before["ifindex"]) == (made == "all of it")


def test_who_connects_to_a_carried_port_while_there_is_no_engine_waits_for_the_next(daemon: Mortal) -> None:
    """No rule leads ::1: a socket listens there, and the keeper holds it."""
    serve(daemon, "web", "-p", "[::1]:18180:80")
    daemon.kill("engine")
    until(lambda: daemon.engine != daemon._before, "the end of the engine")
    with socket.create_connection(("::1", 18180), timeout=60) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.makefile("rb").readline().startswith(b"HTTP/1.0 200")
    ok(daemon, "restart", "-t", "0", "web")
    until(lambda: serves(18180), "an answer of the next run")
    daemon.kill("engine")
    daemon.wait_until_it_serves()
    ok(daemon, "rm", "-f", "web")
    with pytest.raises(ConnectionRefusedError):
        fetch(18180, "::1")
    serve(daemon, "other", "-p", "[::1]:18180:80")
    assert serves(18180)


def serves(port: int) -> bool:
    with contextlib.suppress(OSError):
        return fetch(port, "::1").startswith(b"HTTP/1.0 200")
    return False


def test_a_start_that_was_not_noted_keeps_its_carried_port(daemon: Mortal) -> None:
    """A random one, too, which no row tells of yet."""
    serve(daemon, "web", "-p", "[::1]::80", "-p", "[::1]:18181:80")
    port = ok(daemon, "port", "web", "80")
    with closing(sqlite3.connect(daemon.root / "pysup.db")) as conn, conn:
        conn.execute("UPDATE container SET state = 'starting' WHERE state = 'running'")
        conn.execute("DELETE FROM port")
    daemon.kill("engine")
    daemon.wait_until_it_serves()
    until(lambda: ok(daemon, "inspect", "-f", "{{.State.Status}}", "web") == "running\n", "the start")
    assert sorted(ok(daemon, "port", "web", "80").split()) == sorted(port.split())
    assert serves(18181)


def test_who_comes_on_a_network_between_two_runs_and_is_removed_leaves_no_namespace(daemon: Mortal) -> None:
    """Nobody answers for names before the next run begins: there would be nobody to end it."""
    ok(daemon, "network", "create", "mine")
    ok(daemon, "network", "create", "more")
    daemon.pysup(
        "run", "-d", "--name", "web", "--network", "mine", "--restart", "always", "--restart-delay", "600",
        "host", "false", check=True,
    )  # fmt: skip
    until(lambda: ok(daemon, "inspect", "-f", "{{.State.Restarting}}", "web") == "true\n", "the back-off")
    ok(daemon, "network", "connect", "more", "web")
    ok(daemon, "rm", "-f", "web")
    for process in (daemon.keeper, daemon.engine):
        until(lambda process=process: not namespaces_of(process), "the end of its network namespace")


def namespaces_of(process: int | None) -> list[str]:
    """The network namespaces that a process has a descriptor of."""
    found = []
    for fd in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(fd))
    return [target for target in found if target.startswith("net:")]
