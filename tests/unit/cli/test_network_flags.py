"""-p, --expose, --network and what belongs to it: the same bodies as docker's own command line sends."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.small_server import Quiet, SmallServer
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.cli.commands import networks, volumes
from pysup.supervisor.cli.commands.daemon import DAEMON, chosen_settings
from pysup.supervisor.cli.commands.run import CREATE
from pysup.supervisor.cli.flags import UsageError
from pysup.supervisor.cli.options import publish
from pysup.supervisor.cli.options.create_body import build

BODIES: list[Any] = []


class Recording(Quiet):
    """Plays a daemon that takes any container, and remembers what it was asked for."""

    def do_POST(self) -> None:
        BODIES.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(201, b'{"Id": "4f2a", "Warnings": []}', Api_Version="1.48", Ostype="linux")

    def do_GET(self) -> None:
        self.answer(200, b"OK", Api_Version="1.48", Ostype="linux")

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with SmallServer(Recording) as server:
        yield f"tcp://{server.host}"


CASES = [
    "-p 8080:80",
    "-p 80",
    "-p 127.0.0.1:8080:80/udp -p 127.0.0.1::81",
    "-p [::1]:8080:80",
    "-p 8000-8002:80-82",
    "-p 8000-8010:80",
    "-p target=80,published=8080,protocol=udp",
    "-p 8080:80 -p 9090:80 --expose 99 --expose 100-101/udp -P",
    "--network mine --network-alias a --ip 10.0.0.9 --ip6 fd00::9",
    "--network name=mine,alias=a,alias=b,ip=10.0.0.9 --network other",
    "--network name=mine,gw-priority=7 --network name=other,driver-opt=a=b",
    "--mac-address 92:d0:c6:0a:29:33",
    "--network host",
    "--link db:d --link web",
    "--network mine --link db:d --link-local-ip 169.254.8.8",
    "--network container:web",
    "--dns 1.1.1.1 --dns-search example.test --dns-option ndots:2 --add-host a:1.2.3.4 --add-host b=[::1]",
]
SINCE = {"gw-priority": 28, "--mac-address": 25, "=[::1]": 25}
"""The first version of docker's command line that sends this as the API has it now."""


def comparable() -> list[str]:
    """The cases that the docker command here knows as well: a distribution's may be years old."""
    if shutil.which("docker") is None:
        return CASES
    told = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)", told)
    version = int(found[1]) if found else 0
    return [case for case in CASES if all(version >= since for word, since in SINCE.items() if word in case)]


def networks_of(body: Any) -> dict[str, Any]:
    """What a body says of networks, without what is empty."""
    host, endpoints = body["HostConfig"], (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    named = (
        "NetworkMode",
        "PortBindings",
        "PublishAllPorts",
        "Dns",
        "DnsSearch",
        "DnsOptions",
        "ExtraHosts",
        "Links",
    )
    said = {key: host.get(key) for key in named if host.get(key) and host.get(key) != "default"}
    said["EndpointsConfig"] = {name: {k: v for k, v in one.items() if v} for name, one in endpoints.items()}
    if not any(said["EndpointsConfig"].values()) and len(said["EndpointsConfig"]) <= 1:
        del said["EndpointsConfig"]
    return {**said, "ExposedPorts": body.get("ExposedPorts") or {}}


@pytest.mark.skipif(shutil.which("docker") is None, reason="compares with the docker CLI")
@pytest.mark.parametrize("flags", comparable())
def test_the_body_is_dockers(address: str, flags: str) -> None:
    words = [*flags.split(), "host", "true"]
    subprocess.run(["docker", "-H", address, "create", *words], check=True, capture_output=True, timeout=60)
    dockers = networks_of(BODIES.pop())
    if "--mac-address" in words:  # docker's also sends it in the form of old versions
        dockers.pop("MacAddress", None)
    assert networks_of(build(CREATE.parse(words))) == dockers


def test_options_of_a_network_may_follow_its_name() -> None:
    """As podman has it; an address has colons of its own."""
    named = build(CREATE.parse(["--network", "name=mine,alias=a,ip6=fd00::9", "--network", "other", "host"]))
    assert (
        build(CREATE.parse(["--network", "mine:alias=a,ip6=fd00::9", "--network", "other", "host"])) == named
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no port specified"),
        ("x", "invalid port"),
        ("80/icmp", "invalid proto"),
        ("99999", "invalid port"),
        ("1.2.3:80:80", "invalid IP address"),
        ("8000-8001:80-82", "invalid ranges"),
        ("82-80", "invalid range"),
        ("a=b", "invalid field"),
        ("published=80", "invalid port format"),
    ],
)
def test_wrong_ports_are_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        list(publish.parse(text))


@given(st.text(alphabet="0123456789:-/.[]=,tcpudx", max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = list(publish.parse(text))
    except ValueError:
        return
    for one in found:
        number, _, protocol = one.port.partition("/")
        assert 0 <= int(number) <= 65535 and protocol in ("tcp", "udp", "sctp")


@pytest.mark.parametrize(
    "flags",
    [
        "--network a --network a",
        "--network name=a,ip=1.2.3.4 --ip 1.2.3.4",
        "--network nope=a",
        "--network alias=a",
        "--network :alias=a",
        "--network mine:nope=a",
        "--network mine:name=",
        "--network name=a,gw-priority=x",
        "-p x",
        "--expose x",
        "--network-alias a",
        "--network name=bridge,alias=a",
        "--network none --network-alias a",
        "--network mine --network name=bridge,alias=a",
        "--network=",
        "--dns x",
        "--dns=",
        "--dns-search /",
        "--dns-search 1.5",
        "--dns-search=",
        "--add-host a",
        "--add-host a:",
        "--add-host :1.2.3.4",
        "--add-host a=b",
        "--link=",
        "--link a:b:c",
        "--mac-address x",
    ],
)
def test_wrong_flags_are_refused(flags: str) -> None:
    with pytest.raises(UsageError, match="cannot parse the arguments: "):
        build(CREATE.parse([*flags.split(), "host"]))


def test_the_daemon_is_told_of_networks() -> None:
    words = (
        "--bridge none --dns 1.1.1.1 --dns 9.9.9.9 --mtu 1400 --publish-default 127.0.0.1 --bip 10.1.0.1/24"
    )
    pools = (
        "--default-address-pool base=10.0.0.0/8,size=24 --default-address-pool base=192.168.0.0/16,size=20"
    )
    made = chosen_settings(DAEMON.parse(f"{words} {pools}".split()))
    assert (made.bridge, made.dns, made.mtu, made.publish_default) == (
        "none",
        "1.1.1.1 9.9.9.9",
        1400,
        "127.0.0.1",
    )
    assert (made.bip, made.address_pools) == ("10.1.0.1/24", "10.0.0.0/8,24 192.168.0.0/16,20")


@pytest.mark.parametrize(
    "flags",
    ["--dns x", "--bip x", "--publish-default x", "--default-address-pool x", "--bridge averyverylongname",
     "--default-address-pool base=10.0.0.0/16,size=8"],
)  # fmt: skip
def test_what_the_daemon_could_not_use_is_refused_at_once(flags: str) -> None:
    with pytest.raises(UsageError, match="cannot parse the arguments: "):
        chosen_settings(DAEMON.parse(flags.split()))


@pytest.mark.parametrize(
    "flags",
    [
        "network create --subnet x",
        "network create --subnet 10.0.0.0/24 --gateway x",
        "network create --subnet 10.0.0.0/24 --ip-range 11.0.0.0/8",
        "network create --gateway 10.0.0.1",
        "network create --aux-address x",
        "volume create --opt x",
    ],
)
def test_flags_that_cannot_be_together_are_no_flag_that_cannot_be_read(flags: str) -> None:
    """The exit code is docker's, 1; what is not even a flag has 125."""
    group, _, *words = flags.split()
    create = {"network": networks.create, "volume": volumes.create}[group]
    with pytest.raises(UsageError, match=f"cannot create {group}.*: ") as refused:
        create([*words, "mine"])
    assert refused.value.exit_code == 1
