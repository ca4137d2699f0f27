"""SIGKILL of the daemon's processes while containers come on networks and leave: no address, port or device is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import socket
import sqlite3
import subprocess
from typing import Any

import pytest
from helpers.mortal import Mortal, until
from helpers.storms import Storm, storming

from pysup.supervisor.client.sync import Client

pytestmark = pytest.mark.kernel

ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "8"))
SEED = int(os.environ.get("PYSUP_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LATEST = 0.3
"""Seconds after the beginning of a round until which the kill comes."""
PORT = 18099
SERVER = (
    "import http.server as h; h.ThreadingHTTPServer(('', 80), h.SimpleHTTPRequestHandler).serve_forever()"
)


def rows(mortal: Mortal, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{mortal.root}/pysup.db?mode=ro", uri=True)) as conn:
        return conn.execute(sql).fetchall()


def running_once(client: Client) -> None:
    """A container on two networks, with a published port, from its start to its removal."""
    host = {
        "AutoRemove": True,
        "NetworkMode": "mine",
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]},
    }
    body = {
        "Image": "host",
        "Cmd": ["sh", "-c", "ip -br addr show eth1 && getent hosts phoenix && exit 5"],
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {"mine": {}, "bridge": {}}},
    }
    *_, answer = client.run(body, query={"condition": "removed"})
    assert answer.get("StatusCode") == 5, answer


def answers() -> bool:
    """Whether phoenix serves at the port of the host."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=5) as sock:
        sock.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        return sock.recv(12) == b"HTTP/1.0 200"
    return False


def table() -> list[Any]:
    """What pysup's table leads where: the elements of its maps of ports."""
    shown = subprocess.run(
        ["nft", "-j", "list", "table", "inet", "pysup"], capture_output=True, check=True
    ).stdout
    maps = [one["map"] for one in json.loads(shown)["nftables"] if "map" in one]
    return [one for one in maps if one["name"].startswith(("any", "at")) and one.get("elem")]


@pytest.mark.parametrize("victims", [("engine",), ("engine", "keeper")], ids=" and ".join)
def test_no_kill_leaves_an_address_a_port_or_a_device(mortal: Mortal, victims: tuple[str, ...]) -> None:
    """``engine`` and ``keeper`` are killed in turns: one of the two always survives."""
    print("seed", SEED)
    dice = random.Random(f"{SEED} {victims}")
    mortal.pysup("network", "create", "mine", check=True)
    phoenix = ["--name", "phoenix", "--network", "mine", "-p", f"{PORT}:80", "--restart", "always"]
    mortal.pysup("run", "-d", *phoenix, "--restart-delay", "0", "host", "python3", "-c", SERVER, check=True)
    until(answers, "an answer")
    addresses = "SELECT address FROM addresses WHERE container = 'phoenix'"
    before = rows(mortal, addresses)
    with storming(Storm(mortal, running_once) for _ in range(2)):
        for number in range(ROUNDS):
            select.select([], [], [], dice.uniform(0, LATEST))  # the moment is the fault
            mortal.kill(victims[number % len(victims)])
            mortal.wait_until_it_serves()
            assert answers(), f"round {number}"
    assert rows(mortal, addresses) == before
    mortal.pysup("rm", "-f", "phoenix", check=True)
    until(lambda: rows(mortal, "SELECT count(*) FROM ps") == [(0,)], "the end of all containers")
    assert rows(mortal, "SELECT (SELECT count(*) FROM endpoint) + (SELECT count(*) FROM lease)") == [(0,)]
    assert rows(mortal, "SELECT count(*) FROM ports") == [(0,)]
    until(lambda: table() == [], "the end of their ports")  # an end is committed before they are led back
    devices = [name for _, name in socket.if_nameindex() if name.startswith("pe")]
    until(lambda: not {name for _, name in socket.if_nameindex()} & set(devices), "the end of their devices")
    assert not [name for _, name in socket.if_nameindex() if name.startswith("pe")]
