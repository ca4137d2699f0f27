"""Networks as their users see them: docker's commands, a web server in a container, and who reaches it."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing
from typing import Any

from helpers.daemon import Daemon

SERVER = """
import http.server as h, socket
server = h.ThreadingHTTPServer(("", 80), h.SimpleHTTPRequestHandler, bind_and_activate=False)
server.socket = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
server.serve_forever()
"""
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).status)"


def ok(daemon: Daemon, *words: str) -> str:
    done = daemon.docker(*words)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def refused(daemon: Daemon, *words: str) -> str:
    done = daemon.docker(*words)
    assert done.returncode != 0, (words, done.stdout)
    return done.stderr


def serve(daemon: Daemon, name: str, *flags: str) -> None:
    """A web server that listens when this returns."""
    ok(daemon, "run", "-d", "--name", name, *flags, "host", "python3", "-c", SERVER)
    wait_for_line(daemon, name)


def wait_for_line(daemon: Daemon, name: str, *flags: str) -> None:
    with subprocess.Popen(
        ["docker", "-H", f"unix://{daemon.socket}", "logs", "-f", *flags, name],
        stdout=subprocess.PIPE,
        text=True,
    ) as logs:
        assert logs.stdout is not None and logs.stdout.readline() == "listening\n"
        logs.kill()


def fetch(port: int, address: str = "127.0.0.1") -> bytes:
    """The first line of the answer, asked for from the tests' own network namespace."""
    with closing(socket.create_connection((address, port), timeout=5)) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return sock.makefile("rb").readline()


def networks_of(daemon: Daemon, name: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.inspect(name)["NetworkSettings"]["Networks"]
    return found


def address(daemon: Daemon, name: str, network: str = "bridge") -> str:
    return str(networks_of(daemon, name)[network]["IPAddress"])


def ports(daemon: Daemon, name: str) -> str:
    """What ``docker port`` prints, an address of IPv6 in brackets, as clients from 25 on write it."""
    return ok(daemon, "port", name).replace(" :::", " [::]:")


def clear_networks(daemon: Daemon) -> None:
    """Remove all containers and networks of a test; what is left is an error."""
    daemon.remove_containers()
    with closing(daemon.client()) as client:
        client.post("/networks/prune")
        left = [one["Name"] for one in client.get("/networks")]
    assert sorted(left) == ["bridge", "host", "none"]
