"""--link on the default network, where names are no resolver's: a line of /etc/hosts for each link, and variables.

On a network of users a link is a name that only the container's own resolver knows (engine/networks/naming.py).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from sqlite3 import Connection

from pysup.store import containers
from pysup.store.containers import Container as Row
from pysup.store.errors import Ambiguous, Missing
from pysup.supervisor.engine.networks.places import Place, places_of
from pysup.supervisor.errors import Conflict
from pysup.supervisor.network.names.hosts import Line
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.spec.joining import Link, links_of
from pysup.supervisor.spec.networks import Options

_SHORT = 12
"""Characters of an id that are told."""


def names_by_links(conn: Connection, places: Mapping[str, Sequence[Place]]) -> Mapping[str, list[str]]:
    """What containers are called beside their own names, by their ids: ``/web/db`` is who web has linked as db.

    ``places``: those of every container, by its id.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for container_id, own in places.items():
        for other, alias in _links(own):
            with suppress(Missing, Ambiguous):
                target, holder = containers.find(conn, other), containers.find(conn, container_id)
                found[target.id].append(f"/{holder.name}/{alias}")
    return found


def find_by_any_name(conn: Connection, ref: str) -> Row:
    """As containers.find(), and by a link: ``web/db`` is who web has linked as db, as with docker.

    Raises Missing, Ambiguous.
    """
    holder, slash, alias = ref.partition("/")
    if not slash:
        return containers.find(conn, ref)
    row = containers.by_name(conn, holder)
    links = _links(places_of(conn, row.id)) if row is not None else ()
    other = next((other for other, called in links if called == alias), None)
    if other is None:
        raise Missing(ref)
    return containers.find(conn, other)


def told(conn: Connection, name: str, places: Sequence[Place]) -> list[str]:
    """The links of the container of this name, as docker's inspect writes them: ``/db-1:/web/db``."""
    found = []
    for other, alias in _links(places):
        with suppress(Missing, Ambiguous):
            found.append(f"/{containers.find(conn, other).name}:/{name}/{alias}")
    return found


def _links(places: Iterable[Place]) -> Iterator[Link]:
    for place in places:
        if place.network.builtin:
            yield from links_of(place.endpoint.asked)


def linked(conn: Connection, places: Sequence[Place]) -> Iterator[Line]:
    """Raises Conflict: whom a place on the default network links to is gone, or not there."""
    for place in places:
        if place.network.builtin:
            for container, alias in links_of(place.endpoint.asked):
                yield from _lines(conn, place, container, alias)


def _lines(conn: Connection, place: Place, container: str, alias: str) -> Iterator[Line]:
    """Unlike docker's, the other one need not run: its address stays the same."""
    told = f"cannot link to container {container[:_SHORT]} as {alias}"
    if not Options(place.network.options).icc:
        raise Conflict(
            f"{told}: containers of network {place.network.name} do not talk to each other (enable_icc)"
        )
    try:
        row = containers.find(conn, container)
    except (Missing, Ambiguous):
        raise Conflict(f"{told}: No such container: {container[:_SHORT]}") from None
    there = [one for one in places_of(conn, row.id) if one.network.id == place.network.id]
    if not there:
        raise Conflict(f"{told}: it is not on network {place.network.name}")
    for lease, _ in there[0].addresses:
        yield Line(ip_address(lease.address), _called(row, alias))


def with_links(conn: Connection, row: Row, spec: ContainerSpec) -> ContainerSpec:
    """The spec with what docker tells a program of those that its container is linked to, in its environment."""
    if not json.loads(row.host_config).get("Links"):
        return spec
    told = [
        text
        for place in places_of(conn, row.id)
        if place.network.builtin
        for container, alias in links_of(place.endpoint.asked)
        for text in _variables(conn, row.name, place, container, alias)
    ]
    return replace(spec, process=replace(spec.process, env=(*told, *spec.process.env)))


def _variables(conn: Connection, own: str, place: Place, container: str, alias: str) -> Iterator[str]:
    """Its name, its ports, its own variables (moby daemon/links, Link.ToEnv)."""
    row = containers.find(conn, container)
    (there, *_) = [one for one in places_of(conn, row.id) if one.network.id == place.network.id]
    name, address = alias.upper().replace("-", "_"), there.addresses[0][0].address
    config = json.loads(row.config)
    yield f"{name}_NAME=/{own}/{alias}"
    ports = sorted((port.partition("/") for port in config.get("ExposedPorts") or {}), key=_tcp_first)
    for number, (port, _, protocol) in enumerate(ports):
        url = f"{protocol}://{address}:{port}"
        prefix = f"{name}_PORT_{port}_{protocol.upper()}"
        yield from (f"{name}_PORT={url}",) if number == 0 else ()
        yield from (f"{prefix}={url}", f"{prefix}_ADDR={address}", f"{prefix}_PORT={port}")
        yield f"{prefix}_PROTO={protocol}"
    for variable in config.get("Env") or []:
        if variable.partition("=")[0] not in {"HOME", "PATH"}:
            yield f"{name}_ENV_{variable}"


def _tcp_first(port: tuple[str, str, str]) -> tuple[bool, int]:
    return port[2] != "tcp", int(port[0])


def _called(row: Row, alias: str) -> str:
    """The alias, its host name and its name (moby daemon/links)."""
    hostname = json.loads(row.config).get("Hostname") or row.id[:12]
    return " ".join(dict.fromkeys((alias, hostname, row.name)))
