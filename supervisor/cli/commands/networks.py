"""``pysup network create``, ``ls``, ``rm``, ``connect`` and ``disconnect``."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli import connection
from pysup.supervisor.cli.connection import Client, segment
from pysup.supervisor.cli.each import each
from pysup.supervisor.cli.flags import (
    BAD_WORDS,
    Given,
    Syntax,
    UsageError,
    lacking,
    many,
    number,
    switch,
    text,
)
from pysup.supervisor.cli.kinds import BOOL, LABEL, MAP, TEXT
from pysup.supervisor.cli.options import judged, kvfile
from pysup.supervisor.cli.options.endpoints import Own, networking
from pysup.supervisor.cli.output import timetext
from pysup.supervisor.cli.output.listing import FORMAT, LABELS, Column, Listing, filter_flag, filters, write
from pysup.supervisor.cli.output.table import short_id
from pysup.supervisor.errors import NotFound

_ONE_HOST = "pysup is for one host"

CREATE = Syntax(
    "network create",
    "[OPTIONS] NETWORK",
    "Create a network",
    (
        text("driver", "Driver to manage the Network (bridge, macvlan, ipvlan)", short="d", default="bridge"),
        many("subnet", "Subnet in CIDR format that represents a network segment"),
        many("ip-range", "Allocate container ip from a sub-range"),
        many("gateway", "IPv4 or IPv6 Gateway for the subnet"),
        many(
            "aux-address", "Auxiliary addresses that are never given to a container: NAME=ADDRESS", kind=MAP
        ),
        switch("ipv4", "Enable IPv4 address assignment", default=True),
        switch("ipv6", "Enable IPv6 address assignment"),
        switch("internal", "Restrict external access to the network"),
        many("label", "Set metadata on a network", kind=LABEL),
        many("opt", "Set driver specific options", short="o", kind=MAP),
        switch("attachable", "Enable manual container attachment (every network of pysup has it)"),
        text("ipam-driver", "IP Address Management Driver (default)", default="default"),
        many("ipam-opt", "Set IPAM driver specific options", kind=MAP),
        lacking("config-from", TEXT, "The network from which to copy the configuration", _ONE_HOST),
        lacking("config-only", BOOL, "Create a configuration only network", _ONE_HOST),
        lacking("ingress", BOOL, "Create swarm routing-mesh network", _ONE_HOST),
        lacking("scope", TEXT, "Control the network's scope", _ONE_HOST),
    ),
    1,
    1,
)
LS = Syntax(
    "network ls",
    "[OPTIONS]",
    "List networks",
    (
        filter_flag('Provide filter values (e.g. "driver=bridge")'),
        FORMAT,
        switch("no-trunc", "Do not truncate the output"),
        switch("quiet", "Only display network IDs", short="q"),
    ),
)
RM = Syntax(
    "network rm",
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    (switch("force", "Do not error if the network does not exist", short="f"),),
    1,
    None,
)
CONNECT = Syntax(
    "network connect",
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network, at once if it runs",
    (
        many("alias", "Add network-scoped alias for the container"),
        text("ip", "IPv4 address (e.g., 172.30.100.104)"),
        text("ip6", "IPv6 address (e.g., 2001:db8::33)"),
        number("gw-priority", "Highest gw-priority provides the default gateway"),
        many("driver-opt", "Driver options for the network", kind=MAP),
        many("link", "Add link to another container, by an alias (CONTAINER:ALIAS)", kind=judged.LINK),
        many("link-local-ip", "Add a link-local address for the container"),
    ),
    2,
    2,
)
DISCONNECT = Syntax(
    "network disconnect",
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    (switch("force", "Force the container to disconnect from a network", short="f"),),
    2,
    2,
)


def create(argv: Sequence[str]) -> int:
    """``pysup network create``: prints the id."""
    given = CREATE.parse(argv)
    body = {
        "Name": given.words[0],
        "Driver": given.text("driver"),
        "Internal": given.on("internal"),
        "Attachable": given.on("attachable"),
        "EnableIPv4": given.on("ipv4"),
        "EnableIPv6": given.on("ipv6"),
        "Options": _pairs(given.many("opt")),
        "Labels": kvfile.mapping((), given.many("label")),
        "IPAM": {
            "Driver": given.text("ipam-driver"),
            "Options": _pairs(given.many("ipam-opt")),
            "Config": _ipam(given),
        },
    }
    print(connection.connect().post("/networks/create", body)["Id"])
    return 0


def _pairs(words: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _ipam(given: Given) -> list[dict[str, Any]]:
    """Each subnet, with what lies within it (docker/cli network/create.go)."""
    try:
        subnets = {one: ipaddress.ip_network(one, strict=False) for one in given.many("subnet")}
        configs: dict[str, dict[str, Any]] = {one: {"Subnet": one} for one in subnets}
        for flag, key in (("ip-range", "IPRange"), ("gateway", "Gateway")):
            for value in given.many(flag):
                _set_once(configs[_subnet_of(subnets, value, flag)], key, value, flag)
        for name, value in _pairs(given.many("aux-address")).items():
            config = configs[_subnet_of(subnets, value, "aux-address")]
            config.setdefault("AuxiliaryAddresses", {})[name] = value
    except ValueError as error:
        raise UsageError(f"cannot create network {given.words[0]}: {error}", BAD_WORDS) from None
    return list(configs.values())


def _set_once(config: dict[str, Any], key: str, value: str, flag: str) -> None:
    if key in config:
        raise ValueError(f"cannot configure multiple --{flag} on the same subnet")
    config[key] = value


def _subnet_of(subnets: dict[str, Any], value: str, flag: str) -> str:
    inside = ipaddress.ip_network(value, strict=False)
    for one, subnet in subnets.items():
        if subnet.version == inside.version and inside.network_address in subnet:
            return one
    raise ValueError(f"no matching subnet for --{flag} {value}")


def ls(argv: Sequence[str]) -> int:
    """``pysup network ls``."""
    given = LS.parse(argv)
    chosen = filters(given)
    query = {"filters": json.dumps(chosen)} if chosen else None
    write(NETWORKS, connection.connect().get("/networks", query=query), given, short=not given.on("no-trunc"))
    return 0


def rm(argv: Sequence[str]) -> int:
    """``pysup network rm``: prints each name."""
    given = RM.parse(argv)

    def action(client: Client, name: str) -> str | None:
        try:
            client.delete(f"/networks/{segment(name)}")
        except NotFound:
            if not given.on("force"):
                raise
            return None
        return name

    return each(given.words, action)


def connect(argv: Sequence[str]) -> int:
    """``pysup network connect``."""
    given = CONNECT.parse(argv)
    network, container = given.words
    own = Own(
        given.many("alias"),
        given.text("ip"),
        given.text("ip6"),
        links=given.many("link"),
        link_local=given.many("link-local-ip"),
    )
    _, endpoints = networking([network], own)
    further = {"GwPriority": given.number("gw-priority"), "DriverOpts": _pairs(given.many("driver-opt"))}
    endpoint = endpoints.get(network, {}) | further
    body = {"Container": container, "EndpointConfig": endpoint}
    connection.connect().post(f"/networks/{segment(network)}/connect", body)
    return 0


def disconnect(argv: Sequence[str]) -> int:
    """``pysup network disconnect``."""
    given = DISCONNECT.parse(argv)
    network, container = given.words
    body = {"Container": container, "Force": given.on("force")}
    connection.connect().post(f"/networks/{segment(network)}/disconnect", body)
    return 0


NETWORKS = Listing(
    {
        "ID": Column("NETWORK ID", lambda one: short_id(one.raw["Id"], short=one.short)),
        "Name": Column("NAME", lambda one: one.raw["Name"]),
        "Driver": Column("DRIVER", lambda one: one.raw["Driver"]),
        "Scope": Column("SCOPE", lambda one: one.raw["Scope"]),
        "IPv4": Column("IPV4", lambda one: str(one.raw["EnableIPv4"]).lower()),
        "IPv6": Column("IPV6", lambda one: str(one.raw["EnableIPv6"]).lower()),
        "Internal": Column("INTERNAL", lambda one: str(one.raw["Internal"]).lower()),
        **LABELS,
        "CreatedAt": Column("CREATED AT", lambda one: timetext.utc(one.raw["Created"])),
    },
    ("ID", "Name", "Driver", "Scope"),
    raw="network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n",
)
