"""A daemon's host on a network with another host (network namespaces): who reaches whom, past which firewalls."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from helpers.daemon import Daemon
from helpers.mortal import until
from helpers.netlab import ip, namespace, run
from helpers.network_use import (
    FETCH,
    SERVER,
    address,
    clear_networks,
    fetch,
    networks_of,
    ok,
    refused,
    serve,
    wait_for_line,
)

from pysup.supervisor.kernel import netns

pytestmark = pytest.mark.kernel

HERE, THERE = "10.77.0.2", "10.77.0.1"
HERE6, THERE6 = "fd77::2", "fd77::1"
LAN = "lan0"


@pytest.fixture(autouse=True)
def clean(shared: Daemon) -> Iterator[None]:
    """No container and no network of a test, before and after."""
    yield
    clear_networks(shared)


@pytest.fixture(scope="module")
def other(shared: Daemon) -> Iterator[int]:
    """The other host: a descriptor of its network namespace. It is at the other end of lan0."""
    assert shared.socket.exists()
    with namespace() as there:
        ip("link", "add", LAN, "type", "veth", "peer", "name", "lan1")
        ip("link", "set", "lan1", "netns", f"/proc/{os.getpid()}/fd/{there}")
        for words, inside in (((HERE, HERE6, LAN), None), ((THERE, THERE6, "lan1"), there)):
            ip("addr", "add", f"{words[0]}/24", "dev", words[2], inside=inside)
            ip("addr", "add", f"{words[1]}/64", "dev", words[2], "nodad", inside=inside)
            ip("link", "set", words[2], "up", inside=inside)
        with netns.entered(there):
            server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
        with server:
            assert server.stdout is not None and server.stdout.readline() == "listening\n"
            yield there
            server.kill()
        ip("link", "delete", LAN)


def reaches(url: str, inside: int | None = None, within: str = "10") -> bool:
    """Whether a web server answers within some seconds."""
    with contextlib.suppress(AssertionError):
        return run(["timeout", within, sys.executable, "-c", FETCH, url], inside=inside) == "200\n"
    return False


def test_a_published_port_is_reached_from_another_host_by_ipv4_and_ipv6(shared: Daemon, other: int) -> None:
    ok(shared, "network", "create", "--ipv6", "mine")
    serve(shared, "web", "--network", "mine", "-p", "18100:80")
    for host in (HERE, f"[{HERE6}]"):
        assert reaches(f"http://{host}:18100/", other), host
    ok(shared, "run", "-d", "--name", "inside", "-p", "127.0.0.1:18101:80", "host", "sleep", "1000")
    assert not reaches(f"http://{HERE}:18101/", other)


def test_a_published_port_is_reached_on_the_hosts_own_loopback_by_ipv6(shared: Daemon) -> None:
    """No rule can lead what goes to ::1: it is carried from socket to socket, also after the engine was killed."""
    echo = (
        "import socket; s = socket.socket(10, 2); s.bind(('::', 53)); print('listening', flush=True)\n"
        "while True:\n d, a = s.recvfrom(99); s.sendto(d, a)"
    )
    ok(shared, "network", "create", "--ipv6", "mine")
    serve(shared, "web", "--network", "mine", "-p", "18103:80", "-p", "[::1]:18104:80")
    ok(
        shared,
        "run",
        "-d",
        "--name",
        "udp",
        "--network",
        "mine",
        "-p",
        "18105:53/udp",
        "host",
        "python3",
        "-c",
        echo,
    )
    wait_for_line(shared, "udp")
    for port in (18103, 18104):
        assert fetch(port, "::1").startswith(b"HTTP/1.0 200")
    os.kill(shared.engine_pid, signal.SIGKILL)
    ok(shared, "ps")
    until(lambda: answers(18103), "an answer through the next engine")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"hello", ("::1", 18105))
        assert sock.recv(99) == b"hello"
    shared.pysup("update", "--publish-rm", "18103:80", "--publish-add", "18103:81", "web", check=True)
    assert not answers(18103)  # nobody listens there in the container
    ok(shared, "rm", "-f", "web")
    with pytest.raises(ConnectionRefusedError):
        fetch(18104, "::1")


def test_a_port_of_ipv6_leads_to_a_container_that_has_ipv4_alone(shared: Daemon, other: int) -> None:
    """It is carried, for everybody; a network that is internal lets nobody in this way either."""
    ok(shared, "network", "create", "v4")
    ok(shared, "network", "create", "--internal", "closed")
    serve(shared, "web", "--network", "v4", "-p", f"[{HERE6}]:18106:80", "-p", "[::1]:18107:80")
    assert reaches(f"http://[{HERE6}]:18106/", other)
    assert fetch(18107, "::1").startswith(b"HTTP/1.0 200")
    told = shared.pysup("explain", "port", "18106", check=True).stdout
    assert f"[{HERE6}]:18106/tcp leads to 172." in told and "no rule leads from IPv6 to IPv4" in told
    os.kill(shared.engine_pid, signal.SIGKILL)
    ok(shared, "ps")
    until(lambda: answers(18107), "an answer through the next engine")
    ok(shared, "rm", "-f", "web")
    serve(shared, "kept", "--network", "closed", "-p", f"[{HERE6}]:18106:80")
    assert not reaches(f"http://[{HERE6}]:18106/", other, within="2")


ECHO_UDP = (
    "import socket; s = socket.socket(2, 2); s.bind(('', 53)); print('listening', flush=True)\n"
    "while True:\n d, a = s.recvfrom(99); s.sendto(d, a)"
)
SECOND6 = "fd77::22"


def test_a_plain_port_is_published_by_ipv6_for_who_has_ipv4_alone(shared: Daemon, other: int) -> None:
    """On all addresses of the host; what is asked of one of them is answered from there."""
    publish = ("-p", "18109:80", "-p", "18109:53/udp")
    serve(shared, "web", *publish[:2])
    assert shared.pysup("port", "web", check=True).stdout == "80/tcp -> 0.0.0.0:18109\n80/tcp -> [::]:18109\n"
    bound = json.loads(ok(shared, "inspect", "-f", "{{json .NetworkSettings.Ports}}", "web"))["80/tcp"]
    assert [one["HostIp"] for one in bound] == ["0.0.0.0", "::"]  # noqa: S104 - as dockerd shows it
    for host in (HERE, f"[{HERE6}]"):
        assert reaches(f"http://{host}:18109/", other), host
    assert fetch(18109, "::1").startswith(b"HTTP/1.0 200")
    ok(shared, "run", "-d", "--name", "udp", *publish[2:], "host", "python3", "-c", ECHO_UDP)
    wait_for_line(shared, "udp")
    ip("addr", "add", f"{SECOND6}/64", "dev", LAN, "nodad")
    for target in (HERE6, SECOND6):
        with netns.entered(other):
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with sock:
            sock.settimeout(5)
            sock.connect((target, 18109))  # it takes answers from there alone
            sock.send(b"hello")
            assert sock.recv(99) == b"hello"


def answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return fetch(port, "::1").startswith(b"HTTP/1.0 200")
    return False


def test_a_container_reaches_another_host_by_the_addresses_of_its_own(shared: Daemon, other: int) -> None:
    """Masqueraded: the other host knows no way to the container's network."""
    ok(shared, "network", "create", "--ipv6", "mine")
    look = ("host", "python3", "-c", FETCH)
    for target in (THERE, f"[{THERE6}]"):
        assert ok(shared, "run", "--rm", "--network", "mine", *look, f"http://{target}/") == "200\n"
    ok(shared, "network", "create", "--internal", "shut")
    assert "unreachable" in refused(shared, "run", "--rm", "--network", "shut", *look, f"http://{THERE}/")
    assert other


def test_a_macvlan_is_a_host_among_the_others(shared: Daemon, other: int) -> None:
    lan = ("--subnet", "10.77.0.0/24", "--gateway", THERE, "--ip-range", "10.77.0.128/25")
    assert "needs the interface of the host" in refused(
        shared, "network", "create", "-d", "macvlan", *lan, "lan"
    )
    ok(shared, "network", "create", "-d", "macvlan", "-o", f"parent={LAN}", *lan, "lan")
    told = refused(shared, "network", "create", "-d", "macvlan", "-o", f"parent={LAN}", "again")
    assert f"network lan has the interface {LAN}" in told
    serve(shared, "web", "--network", "lan", "--mac-address", "02:00:00:00:77:99")
    given = address(shared, "web", "lan")
    assert given.startswith("10.77.0.1")
    assert reaches(f"http://{given}/", other)
    (neighbour,) = json.loads(ip("-j", "neigh", "show", given, inside=other))
    assert neighbour["lladdr"] == "02:00:00:00:77:99"
    assert networks_of(shared, "web")["lan"]["Gateway"] == THERE
    ok(shared, "restart", "-t", "0", "web")
    assert address(shared, "web", "lan") == given
    told = shared.docker("run", "--rm", "--network", "lan", "-p", "18107:80", "host", "true").stderr
    assert "Published ports are discarded: on networks of macvlans" in told
    ok(shared, "run", "-d", "--name", "comer", "host", "sleep", "1000")
    ok(shared, "network", "connect", "lan", "comer")
    assert ok(shared, "exec", "comer", "python3", "-c", FETCH, "http://web/") == "200\n"
    ok(shared, "network", "disconnect", "lan", "comer")
    assert ok(shared, "exec", "comer", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    ok(shared, "rm", "-f", "web")
    ok(shared, "network", "rm", "lan")
    assert LAN in ok(shared, "run", "--rm", "--network", "host", "host", "ls", "/sys/class/net")


def test_a_macvlan_whose_parent_has_gone_says_so(shared: Daemon) -> None:
    ip("link", "add", "gone0", "type", "veth", "peer", "name", "gone1")
    ok(shared, "network", "create", "-d", "macvlan", "-o", "parent=gone0", "lan")
    ip("link", "delete", "gone0")
    told = refused(shared, "run", "--rm", "--network", "lan", "host", "true")
    assert "cannot connect to network lan: the host has no interface gone0" in told


# What iptables-nft, docker and firewalld make, as nft lists it.
OTHERS = """
table ip nat {
    chain DOCKER { tcp dport 18199 dnat to 172.31.0.2:80; }
    chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local jump DOCKER; }
    chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; }
}
table ip filter {
    chain DOCKER-USER { return; }
    chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
}
table inet firewalld {
    chain filter_PREROUTING { type filter hook prerouting priority filter + 10; policy accept; }
    chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept; }
}
"""


@pytest.fixture
def firewalls() -> Iterator[str]:
    """Those of others; what they are as nft lists them."""
    run(["nft", OTHERS])
    yield others()
    for table in ("ip nat", "ip filter", "inet firewalld"):
        run(["nft", f"delete table {table}"])


def others() -> str:
    """The rules that are not pysup's."""
    tables = ("ip nat", "ip filter", "inet firewalld")
    return "".join(run(["nft", f"list table {table}"]) for table in tables)


def test_rules_of_others_stay_as_they_are_and_what_they_drop_stays_dropped(
    shared: Daemon, other: int, firewalls: str
) -> None:
    ok(shared, "network", "create", "-o", "com.docker.network.bridge.name=mine0", "mine")
    serve(shared, "web", "--network", "mine", "-p", "18102:80")
    assert reaches("http://127.0.0.1:18102/")  # what the host itself asks is not forwarded
    assert "chain FORWARD of table ip filter drops what is forwarded" in shared.log.read_text()
    told = shared.pysup("explain", "port", "18102", check=True).stdout
    line = next(line.split() for line in told.splitlines() if "FORWARD" in line and "DROPS" in line)
    assert line[:5] == ["forward", "0", "ip", "filter", "FORWARD"]
    url = f"http://{HERE}:18102/"
    assert not reaches(url, other, within="1")
    for side in ("iifname", "oifname"):
        run(["nft", f'insert rule ip filter DOCKER-USER {side} "mine0" accept'])
    assert reaches(url, other)
    assert ok(shared, "exec", "web", "python3", "-c", FETCH, f"http://{THERE}/") == "200\n"
    ok(shared, "rm", "-f", "web")
    ok(shared, "network", "rm", "mine")
    run(["nft", "flush chain ip filter DOCKER-USER; add rule ip filter DOCKER-USER return"])
    assert others() == firewalls
