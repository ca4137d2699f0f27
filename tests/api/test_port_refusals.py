"""A port of the host that cannot be had: the error says who has it, or what is lacking, and nothing stays behind."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from helpers.daemon import Daemon
from helpers.network_use import clear_networks, ok

from pysup.supervisor.runtime.listeners import holders_of

pytestmark = pytest.mark.kernel

DAEMON_ERROR = 125
"""docker-run(1): the error is with the daemon itself."""
TRUE = ("host", "true")
FIRST_FREE = "/proc/sys/net/ipv4/ip_unprivileged_port_start"


class Unprivileged(Daemon):
    """May not bind ports below 1024."""

    def command(self, *arguments: str) -> list[str]:
        own = ["setpriv", "--bounding-set", "-net_bind_service"] if arguments[:1] == ("daemon",) else []
        return [*own, *super().command(*arguments)]


@pytest.fixture(autouse=True)
def clean(shared: Daemon) -> Iterator[None]:
    yield
    clear_networks(shared)


def refusal(daemon: Daemon, port: str) -> str:
    done = daemon.pysup("run", "-d", "-p", port, *TRUE)
    assert done.returncode == DAEMON_ERROR, (done.stdout, done.stderr)
    assert daemon.pysup("ps", "-aq", check=True).stdout == ""
    return done.stderr


def here(protocol: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket that is bound to a port that the kernel chose."""
    made = socket.socket(socket.AF_INET, protocol)
    made.bind(("", 0))
    return made


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def test_a_low_port_that_the_daemon_may_not_bind_says_what_is_lacking(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Unprivileged(tmp_path_factory.mktemp("unprivileged")) as daemon:
        told = refusal(daemon, "80:80")
        assert "cannot publish 0.0.0.0:80/tcp for container" in told
        assert "the daemon has no CAP_NET_BIND_SERVICE, without which ports below 1024 cannot be had" in told
        assert "sysctl net.ipv4.ip_unprivileged_port_start=80" in told
        assert "pysup0" not in [name for _, name in socket.if_nameindex()]
        with open(FIRST_FREE, "w") as file:
            file.write("80")
        try:
            ok(daemon, "run", "--rm", "-p", "80:80", *TRUE)
        finally:
            with open(FIRST_FREE, "w") as file:
                file.write("1024")


def test_who_is_bound_and_does_not_listen_is_named(shared: Daemon) -> None:
    with here(socket.SOCK_DGRAM) as sock:
        assert f"(pid {os.getpid()}) has it" in refusal(shared, f"{port_of(sock)}:80/udp")
    with here() as sock:
        holders = [str(one) for one in holders_of("tcp", port_of(sock))]
        told = refusal(shared, f"{port_of(sock)}:80")
        shown = shared.pysup("explain", "port", str(port_of(sock)), check=True).stdout
    if holders:  # from Linux 6.8 on
        assert f"(pid {os.getpid()})" in holders[0]
        assert f"already allocated: {holders[0]} has it" in told and f"is bound by {holders[0]}." in shown
    else:
        assert "already allocated: some process has bound it, and does not listen" in told


def test_who_has_a_port_for_a_connection_is_named(shared: Daemon) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server, here() as client:
        client.connect(server.getsockname())
        assert f"(pid {os.getpid()}) has it" in refusal(shared, f"{port_of(client)}:80")


def test_connections_of_a_server_that_has_ended_do_not_matter(shared: Daemon) -> None:
    """They stay a minute (TIME_WAIT). Whoever publishes the port has it alone all the same."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = port_of(server)
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
    ok(shared, "run", "-d", "--name", "web", "-p", f"{port}:80", "host", "sleep", "1000")
    assert "container web has it" in shared.pysup("run", "--rm", "-p", f"{port}:80", *TRUE).stderr
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", port))
