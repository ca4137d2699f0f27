"""``pysup port``: the published ports of a container."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli.connection import connect, path
from pysup.supervisor.cli.flags import Syntax
from pysup.supervisor.cli.output.ports import host_port
from pysup.supervisor.errors import NotFound

PORT = Syntax(
    "port",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    (),
    1,
    2,
)


def port(argv: Sequence[str]) -> int:
    """``pysup port``."""
    name, *wanted = PORT.parse(argv).words
    settings = connect().get(path(name, "json")).get("NetworkSettings") or {}
    ports: dict[str, Any] = settings.get("Ports") or {}
    for line in _one(ports, name, wanted[0]) if wanted else _all(ports):
        print(line)
    return 0


def _one(ports: dict[str, Any], name: str, wanted: str) -> list[str]:
    bindings = ports.get(wanted if "/" in wanted else f"{wanted}/tcp")
    if not bindings:
        raise NotFound(f"cannot show port: no public port '{wanted}' published for {name}")
    return [_address(binding) for binding in bindings]


def _all(ports: dict[str, Any]) -> list[str]:
    return sorted(
        f"{inside} -> {_address(one)}" for inside, bindings in ports.items() for one in bindings or []
    )


def _address(binding: Any) -> str:
    return host_port(binding["HostIp"], binding["HostPort"])
