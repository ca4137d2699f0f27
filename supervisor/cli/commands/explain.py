"""``pysup explain port``: who has a port of the host, which rule leads it where, and which chains its packets pass."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pysup.supervisor.cli.connection import connect, segment
from pysup.supervisor.cli.flags import Syntax, text
from pysup.supervisor.cli.output.ports import host_port
from pysup.supervisor.cli.output.table import align

PORT = Syntax(
    "explain port",
    "[OPTIONS] PORT[/PROTOCOL]",
    "Show who has a port of the host, which rule leads it where, and which chains its packets pass",
    (text("format", "Format output: 'json', or as text (default)"),),
    1,
    1,
)
_PASSED = ("prerouting", "output", "forward", "postrouting")


def port(argv: Sequence[str]) -> int:
    """``pysup explain port``."""
    given = PORT.parse(argv)
    number, _, protocol = given.words[0].partition("/")
    found = connect().get(f"/pysup/ports/{segment(protocol or 'tcp')}/{segment(number)}")
    if given.text("format") == "json":
        print(json.dumps(found))
        return 0
    for line in (*_published(found), *_bound(found)):
        print(line)
    if found["Chains"]:
        print(
            align([("HOOK", "PRIORITY", "TABLE", "CHAIN", "TYPE", "WHAT IT DOES"), *_chains(found)]), end=""
        )
    return 0


def _published(found: Any) -> Iterator[str]:
    name = f"{found['Port']}/{found['Protocol']}"
    if not found["Published"]:
        yield f"{name} is not published by any container that runs."
    for one in found["Published"]:
        where, inside = (
            host_port(one["HostIp"], found["Port"]),
            host_port(one["Address"], one["ContainerPort"]),
        )
        yield f"{where}/{found['Protocol']} leads to {inside}: container {one['Container']}, network {one['Network']}."
        yield (
            "  The daemon carries it from socket to socket, without root." if found["Carried"] else _way(one)
        )


def _way(one: Any) -> str:
    if one["Carried"]:
        return "  The daemon carries it from socket to socket: no rule leads from IPv6 to IPv4."
    state = "is there" if one["Present"] else "IS MISSING (another start makes it again)"
    return f"  The rule {state}: element {{ {one['Element']} }} of map {one['Map']} in table {one['Table']}."


def _bound(found: Any) -> Iterator[str]:
    for one in found["BoundBy"]:
        why = ": the daemon, so that nobody else takes it" if one["IsDaemon"] else ""
        yield f"{host_port(one['Address'], found['Port'])} is bound by {one['Name']} (pid {one['Pid']}){why}."
    if found["Published"] and not found["BoundBy"]:
        yield "The daemon has a socket bound to it that does not listen, so that nobody else takes it."
    elif not found["BoundBy"]:
        yield "No process listens on it."
    yield ""


def _chains(found: Any) -> Iterator[tuple[str, ...]]:
    for one in found["Chains"]:
        if one["Hook"] in _PASSED:
            drops = "somebody else's: DROPS what it does not accept"
            others = drops if one["Policy"] == "drop" else "somebody else's; its rules may drop"
            yield (
                one["Hook"],
                str(one["Priority"]),
                one["Table"],
                one["Chain"],
                one["Type"],
                one["Does"] if one["Ours"] else others,
            )
