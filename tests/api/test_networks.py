"""Networks as people and tools use them, on a real daemon in a network namespace of the tests' own."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import docker
import pytest
from helpers import own_network
from helpers.daemon import Daemon
from helpers.mortal import until
from helpers.network_use import (
    FETCH,
    address,
    clear_networks,
    fetch,
    networks_of,
    ok,
    ports,
    refused,
    serve,
    wait_for_line,
)

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def clean(shared: Daemon) -> Iterator[None]:
    """No container and no network of a test, before and after."""
    yield
    clear_networks(shared)


# -- the default network -------------------------------------------------------------------------------------


def test_a_container_is_on_the_default_network(shared: Daemon) -> None:
    shown = json.loads(ok(shared, "run", "--rm", "host", "ip", "-j", "addr"))
    assert [one["ifname"] for one in shown] == ["lo", "eth0"]
    assert [one["family"] for one in shown[1]["addr_info"]] == ["inet"]
    (route,) = json.loads(ok(shared, "run", "--rm", "host", "ip", "-j", "route", "show", "default"))
    (config,) = json.loads(ok(shared, "network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    assert route["gateway"] == config["Gateway"]


def test_containers_reach_each_other_and_know_their_own_name(shared: Daemon) -> None:
    serve(shared, "web")
    url = f"http://{address(shared, 'web')}/"
    assert ok(shared, "run", "--rm", "host", "python3", "-c", FETCH, url) == "200\n"
    assert ok(shared, "run", "--rm", "-h", "me", "host", "sh", "-c", "getent hosts me").split()[1] == "me"
    told = ok(
        shared, "run", "--rm", "--add-host", "gate:host-gateway", "host", "getent", "hosts", "gate"
    ).split()
    assert told[0] == networks_of(shared, "web")["bridge"]["Gateway"]


def test_none_and_host_are_as_before(shared: Daemon) -> None:
    assert ok(shared, "run", "--rm", "--network", "none", "host", "ls", "/sys/class/net") == "lo\n"
    own = os.readlink("/proc/thread-self/ns/net")
    assert (
        ok(shared, "run", "--rm", "--network", "host", "host", "readlink", "/proc/self/ns/net").strip() == own
    )


# -- ports ---------------------------------------------------------------------------------------------------


def test_a_published_port_leads_into_the_container_from_everywhere(shared: Daemon) -> None:
    serve(shared, "web", "-p", "18080:80")
    gateway = networks_of(shared, "web")["bridge"]["Gateway"]
    for place in ("127.0.0.1", gateway):
        assert fetch(18080, place).startswith(b"HTTP/1.0 200")
    hairpin = f"http://{gateway}:18080/"
    assert ok(shared, "exec", "web", "python3", "-c", FETCH, hairpin) == "200\n"
    assert ok(shared, "run", "--rm", "host", "python3", "-c", FETCH, hairpin) == "200\n"
    assert ports(shared, "web") == "80/tcp -> 0.0.0.0:18080\n80/tcp -> [::]:18080\n"
    listed = "0.0.0.0:18080->80/tcp, [::]:18080->80/tcp"
    assert listed in ok(shared, "ps").replace(" :::", " [::]:")
    assert listed in shared.pysup("ps", check=True).stdout
    assert "web" in ok(shared, "ps", "--filter", "publish=18080", "--format", "{{.Names}}")
    ok(shared, "stop", "-t", "1", "web")
    with pytest.raises(ConnectionRefusedError):
        fetch(18080)
    moment = str(time.time())
    ok(shared, "start", "web")
    wait_for_line(shared, "web", "--since", moment)
    assert fetch(18080).startswith(b"HTTP/1.0 200")


def test_a_range_of_ports_is_shown_as_one(shared: Daemon) -> None:
    ok(shared, "run", "-d", "-p", "127.0.0.1:18040-18042:18040-18042", "host", "sleep", "1000")
    range_of_ports = "127.0.0.1:18040-18042->18040-18042/tcp\n"
    assert ok(shared, "ps", "--format", "{{.Ports}}") == range_of_ports
    assert shared.pysup("ps", "--format", "{{.Ports}}", check=True).stdout == range_of_ports


def test_a_random_port_comes_back_after_a_restart(shared: Daemon) -> None:
    serve(shared, "web", "-p", "127.0.0.1::80")
    first = ok(shared, "port", "web", "80")
    assert first.startswith("127.0.0.1:")
    ok(shared, "restart", "-t", "1", "web")
    assert ok(shared, "port", "web", "80") == first


def test_a_taken_port_names_who_has_it(shared: Daemon) -> None:
    serve(shared, "web", "-p", "18081:80")
    assert "container web has it" in refused(shared, "run", "--rm", "-p", "18081:80", "host", "true")
    with socket.create_server(("", 18082)):
        told = refused(shared, "run", "--rm", "-p", "18082:80", "host", "true")
    assert f"(pid {os.getpid()}) has it" in told
    assert ok(shared, "run", "--rm", "-p", "18081-18083:80", "host", "echo", "another") == "another\n"
    ok(shared, "run", "-d", "--name", "phone", "-p", "127.0.0.1:18081:80/sctp", "host", "sleep", "1000")
    told = refused(shared, "run", "--rm", "-p", "127.0.0.1:18081:81/sctp", "host", "true")
    assert "127.0.0.1:18081/sctp" in told and "port is already allocated: container phone has it" in told
    told = refused(shared, "run", "--rm", "--name", "twice", "-p", "18083:1", "-p", "18083:2", "host", "true")
    assert "port is already allocated: container twice has it" in told


def test_a_udp_port_and_a_range_are_published(shared: Daemon) -> None:
    echo = (
        "import socket; s = socket.socket(2, 2); s.bind(('', 53)); print('listening', flush=True)\n"
        "while True:\n d, a = s.recvfrom(99); s.sendto(d, a)"
    )
    ok(shared, "run", "-d", "--name", "udp", "-p", "18053:53/udp", "host", "python3", "-c", echo)
    wait_for_line(shared, "udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"hello", ("127.0.0.1", 18053))
        assert sock.recv(99) == b"hello"


# -- networks of one's own -----------------------------------------------------------------------------------


def test_networks_are_apart_and_a_running_container_comes_and_goes(shared: Daemon) -> None:
    ok(shared, "network", "create", "mine")
    serve(shared, "web", "--network", "mine")
    url = f"http://{address(shared, 'web', 'mine')}/"
    ok(shared, "run", "-d", "--name", "other", "host", "sleep", "1000")
    assert shared.docker("exec", "other", "timeout", "2", "python3", "-c", FETCH, url).returncode != 0
    ok(shared, "network", "connect", "mine", "other")
    assert ok(shared, "exec", "other", "python3", "-c", FETCH, url) == "200\n"
    guests = json.loads(ok(shared, "network", "inspect", "mine"))[0]["Containers"].values()
    assert {guest["Name"] for guest in guests} == {"web", "other"}
    assert "already" in refused(shared, "network", "connect", "mine", "other")
    assert "active endpoints: container " in refused(shared, "network", "rm", "mine")
    ok(shared, "network", "disconnect", "mine", "other")
    assert ok(shared, "exec", "other", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert "is not connected" in refused(shared, "network", "disconnect", "mine", "other")


def test_an_address_that_was_asked_for_is_had_and_kept(shared: Daemon) -> None:
    ok(shared, "network", "create", "--subnet", "10.213.0.0/24", "--ip-range", "10.213.0.128/25", "mine")
    ok(
        shared,
        "run",
        "-d",
        "--name",
        "aa",
        "--network",
        "mine",
        "--ip",
        "10.213.0.9",
        "host",
        "sleep",
        "1000",
    )
    assert address(shared, "aa", "mine") == "10.213.0.9"
    assert "already in use: container aa has it" in refused(
        shared, "run", "--network", "mine", "--ip", "10.213.0.9", "host", "true"
    )
    ok(shared, "run", "-d", "--name", "bb", "--network", "mine", "host", "sleep", "1000")
    given = address(shared, "bb", "mine")
    assert given.startswith("10.213.0.1")
    ok(shared, "restart", "-t", "0", "bb")
    assert address(shared, "bb", "mine") == given


def test_ipv6_is_there_where_it_is_asked_for(shared: Daemon) -> None:
    ok(shared, "network", "create", "--ipv6", "--subnet", "fd00:213::/64", "mine")
    serve(shared, "web", "--network", "mine", "-p", "18084:80")
    assert networks_of(shared, "web")["mine"]["GlobalIPv6Address"].startswith("fd00:213::")
    shown = json.loads(
        ok(shared, "run", "--rm", "--network", "mine", "host", "ip", "-j", "-6", "route", "show", "default")
    )
    assert [one["gateway"] for one in shown] == ["fd00:213::1"]


def test_the_inside_of_an_internal_network_has_no_way_out(shared: Daemon) -> None:
    ok(shared, "network", "create", "--internal", "mine")
    assert ok(shared, "run", "--rm", "--network", "mine", "host", "ip", "route", "show", "default") == ""


def test_a_network_is_shared_with_a_container_across_its_restart(shared: Daemon) -> None:
    serve(shared, "web")
    ok(shared, "run", "-d", "--name", "beside", "--network", "container:web", "host", "sleep", "1000")
    url = "http://127.0.0.1/"
    assert ok(shared, "exec", "beside", "python3", "-c", FETCH, url) == "200\n"
    moment = str(time.time())
    ok(shared, "restart", "-t", "1", "web")
    wait_for_line(shared, "web", "--since", moment)
    assert ok(shared, "exec", "beside", "python3", "-c", FETCH, url) == "200\n"
    assert address(shared, "web") in ok(shared, "exec", "beside", "ip", "-br", "addr")
    ok(shared, "rm", "-f", "beside", "web")
    assert "No such container" in refused(shared, "run", "--rm", "--network", "container:web", "host", "true")


def test_two_prunes_at_once_remove_each_network_once(shared: Daemon) -> None:
    """What the other one has removed is no error."""
    names = [f"idle{number}" for number in range(6)]
    for name in names:
        ok(shared, "network", "create", name)
    with ThreadPoolExecutor(2) as pool:
        pruned = list(pool.map(lambda _: shared.docker("network", "prune", "-f"), range(2)))
    assert [done.stderr for done in pruned] == ["", ""]
    told = [line for done in pruned for line in done.stdout.splitlines() if line.startswith("idle")]
    assert sorted(told) == names


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("network", "create", "--subnet", "127.0.0.0/8", "x"), "not for hosts"),
        (
            ("network", "create", "--subnet", "10.0.0.0/24", "--gateway", "10.1.0.1", "x"),
            "no matching subnet",
        ),
        (("network", "create", "bridge"), "already exists"),
        (("network", "create", "-d", "overlay", "x"), "overlay"),
        (("network", "rm", "bridge"), "pre-defined"),
        (("run", "--rm", "--network", "nope", "host", "true"), "network nope not found"),
        (("run", "--rm", "-p", "80:80/icmp", "host", "true"), "proto"),
        (
            ("network", "create", "-o", "com.docker.network.bridge.name=averyverylongname", "x"),
            "name of an interface",
        ),
    ],
)
def test_what_cannot_be_is_said(shared: Daemon, words: tuple[str, ...], told: str) -> None:
    assert told in refused(shared, *words)


def test_what_docker_20_10_tells_in_words_of_its_own_is_said(shared: Daemon) -> None:
    """That client has its own text for what is not found, and sends no address for the default network."""
    assert "nope" in refused(shared, "network", "rm", "nope")
    assert "network nope not found" in shared.pysup("network", "rm", "nope").stderr
    told = shared.pysup("run", "--rm", "--ip", "10.99.0.1", "host", "true").stderr
    assert "in no subnet" in told


def test_overlaps_are_refused_by_name(shared: Daemon) -> None:
    ok(shared, "network", "create", "--subnet", "10.214.0.0/16", "mine")
    told = refused(shared, "network", "create", "--subnet", "10.214.7.0/24", "other")
    assert "overlaps with 10.214.0.0/16 of network mine" in told
    two = ("--subnet", "10.215.0.0/24", "--subnet", "10.215.0.0/16")
    both = shared.pysup("network", "create", *two, "both")  # docker's own command does not even ask
    assert both.returncode == 1 and "overlaps with 10.215.0.0/24 of network both" in both.stderr


# -- crashes, and what others do -----------------------------------------------------------------------------


def test_a_killed_engine_leaves_ports_and_addresses_as_they_were(shared: Daemon) -> None:
    serve(shared, "web", "-p", "18085:80")
    before = networks_of(shared, "web")
    os.kill(shared.engine_pid, signal.SIGKILL)
    assert fetch(18085).startswith(b"HTTP/1.0 200")
    assert networks_of(shared, "web") == before
    assert "container web has it" in refused(shared, "run", "--rm", "-p", "18085:80", "host", "true")
    ok(shared, "rm", "-f", "web")
    with pytest.raises(ConnectionRefusedError):
        fetch(18085)


NAME = "com.docker.network.bridge.name"


@pytest.fixture
def theirs() -> Iterator[None]:
    """Interfaces of somebody else: a bridge, and a pair with one end on it."""
    for words in ("theirs0 type bridge", "theirs1 type veth peer name theirs2"):
        subprocess.run(["ip", "link", "add", *words.split()], check=True)
    subprocess.run(["ip", "link", "set", "theirs1", "master", "theirs0"], check=True)
    yield
    for name in ("theirs0", "theirs1"):
        subprocess.run(["ip", "link", "delete", name], check=True)


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("driver", "option", "told"),
    [
        ("bridge", f"{NAME}=theirs0", "has an interface theirs0 already, a bridge that pysup has not made"),
        ("bridge", f"{NAME}=theirs2", "has an interface theirs2 already, a veth"),
        ("bridge", f"{NAME}=lo", "has an interface lo already, a device"),
        ("bridge", f"{NAME}=pysup0", "network bridge has the interface pysup0"),
        ("macvlan", "parent=nope", "the host has no interface nope"),
        ("macvlan", "parent=nope.7", "no nope, of which it could be made a VLAN"),
        ("macvlan", "parent=theirs2.5000", "the number of a VLAN is from 1 to 4094"),
        ("macvlan", "parent=theirs1", "interface theirs1 is a port of a bridge"),
        ("macvlan", "parent=lo", "interface lo cannot be the parent of a macvlan"),
    ],
)
def test_an_interface_that_a_network_cannot_have_is_told_at_once(
    shared: Daemon, driver: str, option: str, told: str
) -> None:
    before = [name for _, name in socket.if_nameindex()]
    create = ("network", "create", "-d", driver, "-o", option, "--subnet", "10.215.0.0/24", "mine")
    assert told in refused(shared, *create)
    assert [name for _, name in socket.if_nameindex()] == before
    assert "mine" not in ok(shared, "network", "ls")


def test_a_bridge_of_somebody_else_is_left_alone(shared: Daemon) -> None:
    """One that has come since the network was made."""
    ok(shared, "network", "create", "-o", f"{NAME}=theirs0", "mine")
    subprocess.run(["ip", "link", "add", "theirs0", "type", "bridge"], check=True)
    try:
        told = refused(shared, "run", "--rm", "--network", "mine", "host", "true")
        assert "cannot make bridge theirs0: there is another interface of this name" in told
        ok(shared, "network", "rm", "mine")
        shown = json.loads(subprocess.check_output(["ip", "-j", "addr", "show", "theirs0"]))
        assert shown[0]["addr_info"] == []
    finally:
        subprocess.run(["ip", "link", "delete", "theirs0"], check=True)


def repairs(daemon: Daemon) -> list[dict[str, str]]:
    found = daemon.pysup(
        "query", "--json", "SELECT attributes FROM event WHERE action = 'repair' ORDER BY id", check=True
    )
    return [json.loads(row["attributes"]) for row in json.loads(found.stdout)]


def repaired(daemon: Daemon, *deletion: str) -> dict[str, str]:
    """What the daemon says of its repair of what this command deleted."""
    before = len(repairs(daemon))
    subprocess.run(deletion, check=True)
    until(lambda: len(repairs(daemon)) > before, "the repair")
    return repairs(daemon)[-1]


def test_what_somebody_deleted_is_made_again_while_containers_run(shared: Daemon) -> None:
    """No start, no request: a firewall that is reloaded takes every table, and ports must be published all the same."""
    serve(shared, "web", "-p", "18086:80")
    told = repaired(shared, "nft", "flush", "ruleset")
    assert told["what"] == "rules" and told["by"].startswith("nft (pid ")
    assert fetch(18086).startswith(b"HTTP/1.0 200")
    assert repaired(shared, "ip", "link", "delete", "pysup0")["what"] == "bridge"
    assert fetch(18086).startswith(b"HTTP/1.0 200")
    repaired(shared, "ip", "addr", "flush", "dev", "pysup0")
    assert fetch(18086).startswith(b"HTTP/1.0 200")
    url = f"http://{address(shared, 'web')}/"
    assert ok(shared, "run", "--rm", "host", "python3", "-c", FETCH, url) == "200\n"
    with closing(docker.DockerClient(base_url=f"unix://{shared.socket}")) as client:
        assert len(client.networks.get("bridge").attrs["Containers"]) == 1


def sysctl(name: str) -> str:
    return subprocess.check_output(["sysctl", "-n", name], text=True).strip()


def test_what_somebody_switched_off_is_on_again_while_containers_run(shared: Daemon) -> None:
    """Also where a bridge has no IPv6, whose lost address would tell that it is down."""
    ok(shared, "network", "create", "--ipv6", "-o", "com.docker.network.bridge.name=br-mine", "mine")
    serve(shared, "web", "--network", "mine", "-p", "18087:80")
    serve(shared, "old", "-p", "18090:80")
    subprocess.run(["sysctl", "-qw", "net.ipv6.conf.pysup0.disable_ipv6=1"], check=True)
    for device, network, port in (("pysup0", "bridge", 18090), ("br-mine", "mine", 18087)):
        told = repaired(shared, "ip", "link", "set", device, "down")
        assert (told["what"], told["name"]) == ("bridge", network)
        assert fetch(port).startswith(b"HTTP/1.0 200")
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.br-mine.forwarding"):
        told = repaired(shared, "sysctl", "-qw", f"{name}=0")
        assert (told["what"], told["sysctl"], sysctl(name)) == ("forwarding", name, "1")
    repaired(shared, "nft", "flush", "ruleset")
    strangers = subprocess.check_output(["nft", "list", "chain", "inet", "pysup", "strangers"], text=True)
    assert "nfproto ipv4 drop" in strangers and "nfproto ipv6 drop" in strangers


def test_ports_of_a_container_that_died_unseen_go_without_a_word(shared: Daemon) -> None:
    """Killed, as its engine is, and with the rules flushed meanwhile: there is nothing to take back."""
    serve(shared, "web", "-p", "18091:80")
    pid, before = int(ok(shared, "inspect", "-f", "{{.State.Pid}}", "web")), shared.log.read_text()
    engine = shared.engine_pid
    os.kill(engine, signal.SIGSTOP)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    os.kill(pid, signal.SIGKILL)
    os.kill(engine, signal.SIGKILL)
    assert ok(shared, "wait", "web") == "137\n"
    ok(shared, "rm", "web")
    ok(shared, "run", "--rm", "-p", "18091:80", "host", "true")
    assert "WARNING" not in shared.log.read_text()[len(before) :]


def test_what_was_deleted_while_no_engine_ran_is_made_again_by_the_next(shared: Daemon) -> None:
    serve(shared, "web", "-p", "18088:80")
    engine = shared.engine_pid
    os.kill(engine, signal.SIGSTOP)  # it sees nothing of what follows
    subprocess.run(["nft", "delete", "table", "inet", "pysup"], check=True)
    subprocess.run(["ip", "link", "delete", "pysup0"], check=True)
    os.kill(engine, signal.SIGKILL)
    ok(shared, "ps")
    until(lambda: answers(18088), "an answer")


def test_a_port_that_is_still_led_to_a_container_that_ended_is_taken_back_by_the_next_engine(
    shared: Daemon,
) -> None:
    """An engine that is killed between the end and what follows leaves it so."""
    next_engine_takes_a_port_back(shared)


def next_engine_takes_a_port_back(shared: Daemon) -> None:
    """It has looked at the rules afterwards; no container runs."""
    ok(shared, "run", "--rm", "host", "true")  # the bridge is there
    element = "{ tcp . 18092 : 172.17.0.2 . 80 }"
    subprocess.run(["nft", "add", "element", "inet", "pysup", "any4", element], check=True)
    os.kill(shared.engine_pid, signal.SIGKILL)
    until(lambda: "18092" not in nft("list", "map", "inet", "pysup", "any4"), "the end of the port")


def test_the_machine_forwards_for_nobody_else_also_where_no_container_needs_it_to(shared: Daemon) -> None:
    """The next engine has looked at the rules and has made no bridge when somebody flushes them."""
    next_engine_takes_a_port_back(shared)
    before = len(repairs(shared))
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    until(lambda: "nfproto ipv4 drop" in nft("-s", "list", "ruleset"), "the rules")
    assert len(repairs(shared)) == before  # of no network


def test_a_network_that_the_next_engine_has_never_used_goes_with_its_rules(shared: Daemon) -> None:
    """Made anew for another one's sake, the table rules all networks that containers are on."""
    for name in ("mine", "other"):
        ok(shared, "network", "create", name)
        ok(shared, "run", "-d", "--name", name, "--network", name, "-p", "80", "host", "sleep", "1000")
    os.kill(shared.engine_pid, signal.SIGKILL)
    device = f"br-{json.loads(ok(shared, 'network', 'inspect', 'mine'))[0]['Id'][:12]}"
    ok(shared, "rm", "-f", "mine")
    ok(shared, "network", "rm", "mine")
    assert device not in nft("list", "table", "inet", "pysup")
    assert device not in [name for _, name in socket.if_nameindex()]


def nft(*words: str) -> str:
    return subprocess.check_output(["nft", *words], text=True)


@pytest.mark.parametrize("made", [False, True], ids=["nothing", "a pair"])
def test_a_connection_to_a_network_that_a_kill_broke_off_is_finished_by_the_next_engine(
    shared: Daemon, made: bool
) -> None:
    """The endpoint is a row, and there is no interface yet, or one that nobody has noted."""
    ok(shared, "network", "create", "mine")
    ok(shared, "run", "-d", "--name", "web", "--network", "mine", "host", "sleep", "1000")
    with closing(sqlite3.connect(shared.root / "pysup.db")) as conn, conn:
        ((device,),) = conn.execute("SELECT device FROM endpoint")
        conn.execute("UPDATE endpoint SET device = ''")
    if not made:
        subprocess.run(["ip", "link", "delete", device], check=True)
    os.kill(shared.engine_pid, signal.SIGKILL)
    look = ("exec", "web", "ip", "-br", "addr", "show", "eth0")
    until(lambda: address(shared, "web", "mine") in shared.docker(*look).stdout, "the interface")
    ok(shared, "network", "disconnect", "mine", "web")
    assert device not in [name for _, name in socket.if_nameindex()]


def test_a_restart_that_was_not_noted_yet_keeps_its_interface(shared: Daemon) -> None:
    """The network is that of the run before, and so is the name of its interface."""
    ok(shared, "network", "create", "mine")
    ok(shared, "run", "-d", "--name", "web", "--network", "mine", "host", "sleep", "1000")
    ok(shared, "restart", "-t", "0", "web")
    with closing(sqlite3.connect(shared.root / "pysup.db")) as conn, conn:
        conn.execute("UPDATE container SET state = 'starting' WHERE state = 'running'")
    os.kill(shared.engine_pid, signal.SIGKILL)
    until(lambda: ok(shared, "inspect", "-f", "{{.State.Status}}", "web") == "running\n", "the start")
    ok(shared, "network", "disconnect", "mine", "web")
    assert not [name for _, name in socket.if_nameindex() if name.startswith("pe")]


def test_a_reboot_costs_neither_addresses_nor_ports(shared: Daemon) -> None:
    serve(shared, "web", "--restart", "always", "-p", "18089:80", "-p", "127.0.0.1::81")
    before, random = networks_of(shared, "web")["bridge"]["IPAddress"], ok(shared, "port", "web", "81")
    assert shared.stop() == 0
    own_network.clear()  # what a machine that is booted does not have any more
    shared.start()
    until(lambda: answers(18089), "an answer")
    assert networks_of(shared, "web")["bridge"]["IPAddress"] == before
    assert ok(shared, "port", "web", "81") == random


def answers(port: int) -> bool:
    try:
        return fetch(port).startswith(b"HTTP/1.0 200")
    except OSError:
        return False


# -- names ---------------------------------------------------------------------------------------------------

SERVE_NAMES = """
import dns.message, dns.rrset, socket
s = socket.socket(2, 2); s.bind(("127.0.0.1", 53)); print("listening", flush=True)
while True:
    data, client = s.recvfrom(4096)
    query = dns.message.from_wire(data); answer = dns.message.make_response(query)
    name = query.question[0].name
    if query.question[0].rdtype == 1:
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.77"))
    s.sendto(answer.to_wire(), client)
"""


@pytest.fixture
def outside(shared: Daemon, tmp_path: Path) -> Iterator[None]:
    """A name server on the host's loopback, which knows every name; the host asks it."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    inside = ["nsenter", "-t", str(shared.pid), "-m"]
    subprocess.run([*inside, "mount", "--bind", tmp_path / "resolv.conf", "/etc/resolv.conf"], check=True)
    with subprocess.Popen([sys.executable, "-c", SERVE_NAMES], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdout.readline() == "listening\n"
        yield
        server.kill()
    subprocess.run([*inside, "umount", "/etc/resolv.conf"], check=True)


def looked_up(daemon: Daemon, container: str, name: str, *flags: str) -> list[str]:
    done = daemon.docker("exec", *flags, container, "getent", "ahostsv4", name)
    return sorted({line.split()[0] for line in done.stdout.splitlines()})


def test_containers_find_each_other_by_name_and_nobody_else_does(shared: Daemon) -> None:
    for network in ("mine", "other"):
        ok(shared, "network", "create", network)
    sleeper = ("host", "sleep", "1000")
    ok(shared, "run", "-d", "--name", "asker", "--network", "mine", *sleeper)
    ok(
        shared,
        "run",
        "-d",
        "--name",
        "web",
        "-h",
        "box",
        "--network",
        "mine",
        "--network-alias",
        "www",
        *sleeper,
    )
    ok(shared, "run", "-d", "--name", "second", "--network", "mine", "--network-alias", "www", *sleeper)
    ok(shared, "run", "-d", "--name", "stranger", "--network", "other", *sleeper)
    web, second = address(shared, "web", "mine"), address(shared, "second", "mine")
    for name in ("web", "WEB", "web.mine", "box"):
        assert looked_up(shared, "asker", name) == [web], name
    assert looked_up(shared, "asker", "www") == sorted([web, second])
    assert ok(shared, "exec", "asker", "getent", "hosts", web).split()[1] == "web.mine"
    assert looked_up(shared, "asker", "stranger") == looked_up(shared, "stranger", "web") == []
    ok(shared, "network", "connect", "--alias", "guest", "mine", "stranger")
    assert looked_up(shared, "asker", "guest") == [address(shared, "stranger", "mine")]
    assert looked_up(shared, "stranger", "web") == [web]
    ok(shared, "network", "disconnect", "mine", "stranger")
    assert looked_up(shared, "asker", "guest") == []
    ok(shared, "stop", "-t", "0", "second")
    assert looked_up(shared, "asker", "www") == [web]
    ok(shared, "rename", "web", "renamed")
    assert looked_up(shared, "asker", "renamed") == [web] and looked_up(shared, "asker", "web") == []


@pytest.mark.usefixtures("outside")
def test_other_names_are_asked_for_outside_also_after_a_crash(shared: Daemon) -> None:
    ok(shared, "network", "create", "mine")
    ok(
        shared,
        "run",
        "-d",
        "--name",
        "asker",
        "--network",
        "mine",
        "host",
        "sleep",
        "1000",
    )
    shown = ok(shared, "exec", "asker", "cat", "/etc/resolv.conf")
    assert "nameserver 127.0.0.11\n" in shown and "options ndots:0\n" in shown
    assert looked_up(shared, "asker", "example.test") == ["192.0.2.77"]
    os.kill(shared.engine_pid, signal.SIGKILL)
    ok(shared, "ps")
    assert looked_up(shared, "asker", "example.test", "-e", "RES_OPTIONS=attempts:9") == ["192.0.2.77"]
    assert looked_up(shared, "asker", "asker") == [address(shared, "asker", "mine")]


def test_a_container_may_be_a_name_server_itself(shared: Daemon) -> None:
    ok(shared, "network", "create", "mine")
    bind = "import socket; socket.socket(2, 2).bind(('', 53)); socket.socket(2, 1).bind(('', 53)); print('bound')"
    assert ok(shared, "run", "--rm", "--network", "mine", "host", "python3", "-c", bind) == "bound\n"
