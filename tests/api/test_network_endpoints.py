"""A container's place on a network, on a real daemon: links, addresses, its interface's name and settings, ports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.mortal import until
from helpers.network_use import address, clear_networks, fetch, networks_of, ok, ports, refused, serve

pytestmark = pytest.mark.kernel

SERVES = b"HTTP/1.0 200"
SLEEP = ("host", "sleep", "1000")
OPTION = "com.docker.network.endpoint"


@pytest.fixture(autouse=True)
def clean(shared: Daemon) -> Iterator[None]:
    """No container and no network of a test, before and after."""
    yield
    clear_networks(shared)


def test_a_link_on_a_users_network_is_a_name_for_one_container_alone(shared: Daemon) -> None:
    ok(shared, "network", "create", "mine")
    ok(shared, "run", "-d", "--name", "asker", "--network", "mine", "--link", "db:store", *SLEEP)
    ok(shared, "run", "-d", "--name", "other", "--network", "mine", *SLEEP)
    assert shared.docker("exec", "asker", "getent", "hosts", "store").returncode != 0  # there is no db yet
    ok(shared, "run", "-d", "--name", "db", "--network", "mine", *SLEEP)
    assert ok(shared, "exec", "asker", "getent", "hosts", "store").split()[0] == address(shared, "db", "mine")
    assert shared.docker("exec", "other", "getent", "hosts", "store").returncode != 0
    assert networks_of(shared, "asker")["mine"]["Links"] == ["db:store"]
    assert networks_of(shared, "db")["mine"]["DNSNames"][0] == "db"
    ok(shared, "network", "disconnect", "mine", "other")
    ok(shared, "network", "connect", "--link", "db:vault", "mine", "other")
    assert ok(shared, "exec", "other", "getent", "hosts", "vault").split()[0] == address(shared, "db", "mine")


ASKED = [
    "--dns",
    "192.0.2.53",
    "--dns-search",
    "s.test",
    "--dns-option",
    "ndots:3",
    "--add-host",
    "a:192.0.2.7",
]


def shown(shared: Daemon, name: str) -> tuple[str, set[str], list[str]]:
    """What a container was made with, where it is by docker's command line, and what it has."""
    mode = ok(shared, "inspect", "-f", "{{.HostConfig.NetworkMode}}", name).strip()
    return mode, set(networks_of(shared, name)), ok(shared, "exec", name, "ls", "/sys/class/net").split()


def test_a_container_can_leave_the_network_none_and_come_back(shared: Daemon) -> None:
    """As with docker: at once if it runs, and for good."""
    ok(shared, "network", "create", "mine")
    ok(shared, "run", "-d", "--name", "web", "--network", "none", *SLEEP)
    words = (
        "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    )
    assert words in refused(shared, "network", "connect", "mine", "web")
    ok(shared, "network", "disconnect", "none", "web")
    assert shown(shared, "web") == ("none", set(), ["lo"])
    assert "is not connected to network none" in refused(shared, "network", "disconnect", "none", "web")
    ok(shared, "network", "connect", "mine", "web")
    ok(shared, "network", "connect", "bridge", "web")
    assert shown(shared, "web") == ("none", {"mine", "bridge"}, ["eth0", "eth1", "lo"])
    assert f"{address(shared, 'web', 'mine')}\t" in ok(shared, "exec", "web", "cat", "/etc/hosts")
    assert words in refused(shared, "network", "connect", "none", "web")
    ok(shared, "restart", "-t", "0", "web")
    assert shown(shared, "web") == ("none", {"mine", "bridge"}, ["eth0", "eth1", "lo"])
    assert ok(shared, "ps", "-q", "--filter", "network=none") == ""
    for network in ("mine", "bridge"):
        ok(shared, "network", "disconnect", network, "web")
    ok(shared, "network", "connect", "none", "web")
    refused(shared, "network", "connect", "none", "web")
    assert shown(shared, "web") == ("none", {"none"}, ["lo"])
    ok(shared, "restart", "-t", "0", "web")
    assert shown(shared, "web") == ("none", {"none"}, ["lo"])


def test_one_that_was_made_for_a_network_can_come_on_none(shared: Daemon) -> None:
    ok(shared, "run", "-d", "--name", "web", *SLEEP)
    ok(shared, "network", "disconnect", "bridge", "web")
    ok(shared, "network", "connect", "none", "web")
    assert shown(shared, "web") == ("bridge", {"none"}, ["lo"])
    ok(shared, "restart", "-t", "0", "web")
    assert shown(shared, "web") == ("bridge", {"none"}, ["lo"])
    assert ok(shared, "ps", "--format", "{{.Names}}", "--filter", "network=none") == "web\n"
    ok(shared, "network", "disconnect", "none", "web")
    ok(shared, "network", "connect", "bridge", "web")
    assert shown(shared, "web") == ("bridge", {"bridge"}, ["eth0", "lo"])


def test_the_network_none_of_one_at_rest(shared: Daemon) -> None:
    ok(shared, "create", "--name", "web", "--network", "none", *SLEEP)
    ok(shared, "network", "disconnect", "none", "web")
    ok(shared, "network", "connect", "bridge", "web")
    ok(shared, "start", "web")
    assert shown(shared, "web") == ("none", {"bridge"}, ["eth0", "lo"])
    ok(shared, "run", "-d", "--name", "there", "--network", "host", *SLEEP)
    refused(shared, "network", "disconnect", "host", "there")


@pytest.mark.parametrize("network", ["host", "none"])
def test_names_are_as_asked_for_without_networks(shared: Daemon, network: str) -> None:
    files = ("host", "cat", "/etc/resolv.conf", "/etc/hosts")
    shown = ok(shared, "run", "--rm", "--network", network, *ASKED, *files)
    for line in ("nameserver 192.0.2.53", "search s.test", "options ndots:3", "192.0.2.7\ta"):
        assert f"{line}\n" in shown


def test_host_gateway_is_the_host_itself_on_its_network(shared: Daemon) -> None:
    asked = ("--add-host", "up:host-gateway", "host", "cat", "/etc/hosts", "/etc/resolv.conf")
    shown = ok(shared, "run", "--rm", "--network", "host", *asked)
    here = Path("/etc/hosts").read_text()
    assert shown == here.rstrip("\n") + "\n127.0.0.1\tup\n" + Path("/etc/resolv.conf").read_text()


def test_host_gateway_without_a_network_is_the_default_bridge_as_with_docker(shared: Daemon) -> None:
    (config,) = json.loads(ok(shared, "network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    asked = ("run", "--rm", "--network", "none", "--add-host", "up:host-gateway", "host", "cat", "/etc/hosts")
    assert f"\n{config['Gateway']}\tup\n" in ok(shared, *asked)


def test_a_container_may_be_taken_off_the_network_that_leads_to_the_host(shared: Daemon) -> None:
    """As docker-compose 1.29 does it before a first start, and while it runs."""
    ok(shared, "network", "create", "mine")
    ok(shared, "network", "create", "--internal", "inner")
    ok(shared, "create", "--name", "web", "--network", "mine", "--add-host", "up:host-gateway", *SLEEP)
    looked = ("exec", "web", "cat", "/etc/hosts")
    for start in (("start", "web"), ()):
        ok(shared, "network", "disconnect", "mine", "web")
        ok(shared, "network", "connect", "mine", "web")
        if start:
            ok(shared, *start)
        assert "\tup\n" in ok(shared, *looked)
    ok(shared, "network", "connect", "inner", "web")
    ok(shared, "network", "disconnect", "mine", "web")
    bridge = networks_of(shared, "web")["inner"]["Gateway"]
    assert f"\n{bridge}\tup\n" in ok(shared, *looked), "an internal network has the host on it, too"
    ok(shared, "network", "disconnect", "inner", "web")
    (config,) = json.loads(ok(shared, "network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    assert f"\n{config['Gateway']}\tup\n" in ok(shared, *looked), "the default one's, as with docker"


def test_host_gateway_on_an_internal_network_is_its_bridge(shared: Daemon) -> None:
    ok(shared, "network", "create", "--internal", "--subnet", "10.215.0.0/24", "inner")
    asked = ("run", "--rm", "--network", "inner", "--add-host", "up:host-gateway", "host")
    assert "\n10.215.0.1\tup\n" in ok(shared, *asked, "cat", "/etc/hosts")


def test_who_is_in_another_ones_network_is_called_like_that_one(shared: Daemon) -> None:
    ok(shared, "run", "-d", "--name", "web", "-h", "box", "--domainname", "lan.test", *SLEEP)
    beside = ("run", "--rm", "--network", "container:web")
    look = ("cat", "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/etc/hostname")
    assert ok(shared, *beside, "host", *look).split() == ["box", "lan.test", "box"]
    ok(shared, *beside, "host", "getent", "hosts", "box.lan.test")
    for flag in (("-h", "x"), ("-p", "80:80"), ("-P",), ("--dns", "1.1.1.1"), ("--add-host", "a:1.1.1.1"),
                 ("--mac-address", "02:00:00:00:00:01"), ("--expose", "80")):  # fmt: skip
        assert "conflicting options: " in refused(shared, *beside, *flag, "host", "true"), flag
    assert (
        "--dns-search and --dns-option have no effect"
        in shared.docker(
            "create", "--network", "container:web", "--dns-search", "a.test", "host", "true"
        ).stderr
    )


def test_a_link_on_the_default_network_is_in_etc_hosts(shared: Daemon) -> None:
    assert "could not get container for db" in refused(shared, "run", "--link", "db:store", "host", "true")
    ok(shared, "run", "-d", "--name", "db", "-h", "box", *SLEEP)
    ok(shared, "run", "-d", "--name", "asker", "--link", "db:store", *SLEEP)
    line = f"{address(shared, 'db')}\tstore box db\n"
    assert line in ok(shared, "exec", "asker", "cat", "/etc/hosts")
    ok(shared, "stop", "-t", "0", "db")
    ok(shared, "rename", "db", "dbx")
    ok(shared, "restart", "-t", "0", "asker")
    line = line.replace(" db\n", " dbx\n")
    assert line in ok(
        shared, "exec", "asker", "cat", "/etc/hosts"
    )  # the address is that one's, whether it runs or not, and whatever it is called
    ok(shared, "rm", "dbx")
    assert "cannot link to container" in refused(shared, "restart", "-t", "0", "asker")


def test_who_is_linked_to_is_listed_by_that_name_too(shared: Daemon) -> None:
    """As docker lists it: on the default network alone, and for people only where nothing is cut."""
    ok(shared, "run", "-d", "--name", "db", *SLEEP)
    ok(shared, "run", "-d", "--name", "web", "--link", "db:store", "--link", "db", *SLEEP)
    ok(shared, "network", "create", "mine")
    ok(shared, "run", "-d", "--name", "other", "--network", "mine", "--link", "db:vault", *SLEEP)
    ok(shared, "rename", "web", "shop")
    names = ("ps", "--format", "{{.Names}}")
    whole = {"other", "shop", "db,shop/store,shop/db"}
    assert (
        set(ok(shared, *names, "--no-trunc").split())
        == {*whole}
        == set(shared.pysup(*names, "--no-trunc", check=True).stdout.split())
    )
    assert set(ok(shared, *names).split()) == {"other", "shop", "db"}
    assert set(shared.pysup(*names, check=True).stdout.split()) == {"other", "shop", "db"}
    links = json.loads(ok(shared, "inspect", "-f", "{{json .HostConfig.Links}}", "shop"))
    assert links == ["/db:/shop/store", "/db:/shop/db"]


def test_who_is_linked_to_is_found_by_that_name_too(shared: Daemon) -> None:
    """By every command, as with docker; not on a network of users."""
    ok(shared, "run", "-d", "--name", "db", *SLEEP)
    ok(shared, "run", "-d", "--name", "web", "--link", "db:store", *SLEEP)
    for found in ("web/store", "/web/store"):
        assert ok(shared, "inspect", "-f", "{{.Name}}", found) == "/db\n"
    assert ok(shared, "exec", "web/store", "echo", "here") == "here\n"
    assert ok(shared, "top", "web/store").count("sleep") == 1
    assert shared.pysup("inspect", "-f", "{{.Name}}", "web/store", check=True).stdout == "/db\n"
    assert shared.pysup("exec", "web/store", "echo", "here", check=True).stdout == "here\n"
    for unknown in ("web/db", "db/store", "nobody/store", "web/store/store"):
        assert f"No such container: {unknown}" in refused(shared, "stop", unknown)
    ok(shared, "network", "create", "mine")
    ok(shared, "run", "-d", "--name", "other", "--network", "mine", "--link", "db:vault", *SLEEP)
    refused(shared, "inspect", "other/vault")
    ok(shared, "stop", "-t", "0", "web/store")
    ok(shared, "rm", "web/store")
    assert "No such container: web/store" in refused(shared, "rm", "web/store")


def test_a_link_can_be_removed_while_the_container_runs(shared: Daemon) -> None:
    ok(shared, "run", "-d", "--name", "db", *SLEEP)
    ok(shared, "run", "-d", "--name", "asker", "--link", "db:store", "--link", "db", *SLEEP)
    assert ok(shared, "rm", "--link", "asker/store") == "asker/store\n"
    hosts = ok(shared, "exec", "asker", "cat", "/etc/hosts")
    assert "store" not in hosts and f"{address(shared, 'db')}\tdb " in hosts
    assert json.loads(ok(shared, "inspect", "-f", "{{json .HostConfig.Links}}", "asker")) == ["/db:/asker/db"]
    ok(shared, "restart", "-t", "0", "asker")
    assert "store" not in ok(shared, "exec", "asker", "cat", "/etc/hosts")
    assert shared.pysup("rm", "--link", "asker/db", check=True).stdout == "asker/db\n"
    assert "has no link of this name" in shared.pysup("rm", "--link", "asker/db").stderr
    refused(shared, "rm", "--link", "asker/db")  # for docker 20.10 there is no such container
    assert "a link is CONTAINER/ALIAS" in refused(shared, "rm", "--link", "asker")
    assert "No such container: asker/db" in refused(shared, "rm", "asker/db")


def test_what_is_linked_to_is_in_the_environment(shared: Daemon) -> None:
    """As docker tells it (moby daemon/links)."""
    ok(shared, "run", "-d", "--name", "db", "-e", "A=b", "--expose", "53/udp", "--expose", "80", *SLEEP)
    env = ok(
        shared, "run", "--rm", "--name", "asker", "--link", "db:my-db", "-e", "MY_DB_NAME=own", "host", "env"
    )
    there = address(shared, "db")
    assert {
        f"MY_DB_PORT=tcp://{there}:80", f"MY_DB_PORT_80_TCP=tcp://{there}:80", f"MY_DB_PORT_80_TCP_ADDR={there}",
        "MY_DB_PORT_80_TCP_PORT=80", "MY_DB_PORT_80_TCP_PROTO=tcp", f"MY_DB_PORT_53_UDP=udp://{there}:53",
        "MY_DB_ENV_A=b", "MY_DB_NAME=own",
    } <= set(env.splitlines())  # fmt: skip
    assert "MY_DB_ENV_PATH" not in env and "MY_DB_NAME=/asker" not in env
    assert "MY_DB_NAME=/asker/my-db\n" in ok(
        shared, "run", "--rm", "--name", "asker", "--link", "db:my-db", "host", "env"
    )
    ok(shared, "rm", "-f", "db")


def test_an_endpoint_has_options(shared: Daemon) -> None:
    sysctl = f"driver-opt={OPTION}.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    wanted = f"name=bridge,driver-opt={OPTION}.ifname=lan0,{sysctl},link-local-ip=169.254.8.8"
    look = "ip -j addr show lan0; cat /proc/sys/net/ipv4/conf/lan0/log_martians"
    asked = ("run", "--rm", "--network", wanted, "host", "sh", "-c", look)
    found, martians = shared.pysup(*asked, check=True).stdout.splitlines()  # docker 20.10: no link-local-ip
    addresses = json.loads(found)[0]["addr_info"]
    assert [(one["local"], one["prefixlen"]) for one in addresses][1] == ("169.254.8.8", 16)
    assert martians == "1"
    told = refused(
        shared,
        "run",
        "--network",
        f"name=bridge,driver-opt={OPTION}.sysctls=net.ipv4.conf.IFNAME.no=1",
        "host",
        "true",
    )
    assert "cannot set net.ipv4.conf.eth0.no to 1: No such file" in told
    ok(shared, "create", "--name", "rest", "--mac-address", "02:42:ac:11:00:02", *SLEEP)
    assert networks_of(shared, "rest")["bridge"]["MacAddress"] == "02:42:ac:11:00:02"


def test_a_network_may_be_called_nearly_anything(shared: Daemon) -> None:
    ok(shared, "network", "create", "my own net")
    assert ok(shared, "run", "--rm", "--network", "my own net", "host", "echo", "hello") == "hello\n"
    ok(shared, "network", "rm", "my own net")
    for command in (shared.docker, shared.pysup):
        assert command("network", "create", "a/b").returncode == 0
        ok(shared, "create", "--name", "web", "--network", "a/b", *SLEEP)
        assert command("network", "connect", "bridge", "web").returncode == 0
        assert command("network", "disconnect", "a/b", "web").returncode == 0
        assert command("network", "inspect", "-f", "{{.Name}}", "a/b").stdout == "a/b\n"
        assert command("rm", "web").returncode == command("network", "rm", "a/b").returncode == 0


def test_ports_change_while_the_container_runs(shared: Daemon) -> None:
    serve(shared, "web", "-p", "18090:80")
    pid = ok(shared, "inspect", "-f", "{{.State.Pid}}", "web")
    shared.pysup("update", "--publish-add", "127.0.0.1:18091:80", "web", check=True)
    assert fetch(18090).startswith(SERVES) and fetch(18091).startswith(SERVES)
    told = shared.pysup("update", "--publish-add", "18091:81", "web").stderr
    assert "18091/tcp for container web: port is already allocated: container web has it" in told
    shared.pysup("update", "--publish-rm", "18090:80", "--publish-add", "18092:80", "web", check=True)
    assert fetch(18092).startswith(SERVES)
    with pytest.raises(ConnectionRefusedError):
        fetch(18090)
    both = "80/tcp -> 0.0.0.0:18092\n80/tcp -> 127.0.0.1:18091\n80/tcp -> [::]:18092\n"
    assert ports(shared, "web") == both
    assert ok(shared, "inspect", "-f", "{{.State.Pid}}", "web") == pid
    ok(shared, "restart", "-t", "0", "web")
    assert ports(shared, "web") == both
    ok(shared, "stop", "-t", "0", "web")
    shared.pysup("update", "--publish-rm", "80", "web", check=True)
    ok(shared, "start", "web")
    assert ok(shared, "port", "web") == ""


def test_a_carried_connection_goes_on_when_the_container_comes_on_another_network(shared: Daemon) -> None:
    """No rule leads from IPv6 to a container that has IPv4 alone."""
    serve(shared, "web", "-p", "18095:80")
    ok(shared, "network", "create", "mine")
    with closing(socket.create_connection(("::1", 18095), timeout=5)) as sock:
        ok(shared, "network", "connect", "mine", "web")
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.makefile("rb").readline().startswith(SERVES)
    assert fetch(18095, "::1").startswith(SERVES) and fetch(18095).startswith(SERVES)


def test_a_network_that_a_container_cannot_come_on_leaves_no_interface(shared: Daemon) -> None:
    """Its other way out is down, so the routes cannot be set once the new interface is there."""
    ok(shared, "run", "-d", "--name", "web", *SLEEP)
    ok(shared, "network", "create", "mine")
    inside = ("nsenter", "-n", "-t", ok(shared, "inspect", "-f", "{{.State.Pid}}", "web").strip())
    before = {name for _, name in socket.if_nameindex()}
    subprocess.run([*inside, "ip", "link", "set", "eth0", "down"], check=True)
    assert "cannot route by network bridge" in refused(shared, "network", "connect", "mine", "web")
    assert ok(shared, "exec", "web", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert list(networks_of(shared, "web")) == ["bridge"]
    told = "SELECT action FROM event WHERE attributes ->> 'name' = 'mine' ORDER BY id DESC LIMIT 2"
    shown = json.loads(shared.pysup("query", "--json", told, check=True).stdout)
    assert [one["action"] for one in shown] == ["disconnect", "connect"]
    left = {name for _, name in socket.if_nameindex()} - before
    assert not [name for name in left if name.startswith("pe")]
    subprocess.run([*inside, "ip", "link", "set", "eth0", "up"], check=True)
    ok(shared, "network", "connect", "mine", "web")


def test_a_port_is_explained(shared: Daemon) -> None:
    ok(shared, "run", "-d", "--name", "web", "-p", "18093:80", *SLEEP)
    told = shared.pysup("explain", "port", "18093", check=True).stdout
    assert f"0.0.0.0:18093/tcp leads to {address(shared, 'web')}:80: container web, network bridge.\n" in told
    assert "The rule is there: element { tcp . 18093 } of map any4 in table inet pysup.\n" in told
    bound = [line for line in told.splitlines() if "is bound by" in line]
    assert bound and all(line.endswith(": the daemon, so that nobody else takes it.") for line in bound)
    hooks = [line.split()[:5] for line in told.splitlines()]
    assert ["prerouting", "-100", "inet", "pysup", "prerouting"] in hooks
    assert ["forward", "0", "inet", "pysup", "forward"] in hooks
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        told = shared.pysup("explain", "port", str(number), check=True).stdout
    assert f"{number}/tcp is not published by any container that runs.\n" in told
    assert f"127.0.0.1:{number} is bound by " in told and f"(pid {os.getpid()})." in told
    shown = json.loads(shared.pysup("explain", "port", "18093/udp", "--format", "json", check=True).stdout)
    assert (shown["Published"], shown["BoundBy"]) == ([], [])
    assert "it is NUMBER/tcp" in shared.pysup("explain", "port", "0").stderr


def test_the_rule_of_one_published_port_that_somebody_deletes_comes_back(shared: Daemon) -> None:
    ok(shared, "run", "-d", "--name", "web", "-p", "18094:80", *SLEEP)
    subprocess.run(["nft", "delete", "element", "inet", "pysup", "any4", "{ tcp . 18094 }"], check=True)

    def present() -> bool:
        shown = shared.pysup("explain", "port", "18094", "--format", "json", check=True).stdout
        return bool(json.loads(shown)["Published"][0]["Present"])

    until(present, "the repair of one element")
