"""Putting containers on networks, and taking them off: rows first checked, then written in one transaction."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_address
from itertools import count
from sqlite3 import Connection
from typing import Any, Literal

from pysup.store import containers, endpoints, networks
from pysup.store.endpoints import Endpoint
from pysup.store.errors import Ambiguous, Missing
from pysup.store.networks import Network
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers.record import Aside, Record
from pysup.supervisor.engine.networks.addressing import give_addresses
from pysup.supervisor.engine.networks.builtin import NO_BRIDGE
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import BadRequest, Conflict, NotFound
from pysup.supervisor.network.addresses import mac_of
from pysup.supervisor.spec.container import NetworkSpec
from pysup.supervisor.spec.joining import Joining, links_of
from pysup.supervisor.spec.network import BRIDGE, wanted_bindings, with_default
from pysup.supervisor.spec.networks import IPVLAN, ON_PARENT

_OWN = frozenset({BRIDGE, "host", "none"})
"""Modes of a container that is on networks itself; ``bridge``: on those of its endpoints."""


def settled(parts: Parts, body: dict[str, Any]) -> dict[str, Any]:
    """A create body whose network mode is decided for good, by the daemon's default."""
    return with_default(body, BRIDGE if parts.settings.bridge != NO_BRIDGE else "none")


def wanted_endpoints(
    parts: Parts, container_id: str, joined: Iterable[Joining], interfaces: Iterator[str], now_ns: int
) -> list[tuple[Endpoint, Joining]]:
    """Endpoints for all the networks. Raises NotFound, BadRequest (a network that cannot be joined, or twice)."""
    made: list[tuple[Endpoint, Joining]] = []
    joined = tuple(joined)
    asked = [one.interface for one in joined if one.interface]
    free = (name for name in interfaces if name not in asked)
    for one in joined:
        network = _network(parts, one.network)
        if network.driver not in ("bridge", *ON_PARENT):
            raise BadRequest(
                f"cannot connect to network {network.name}: a container has it alone, or not at all"
            )
        if any(endpoint.network_id == network.id for endpoint, _ in made):
            raise BadRequest(f"cannot connect to network {network.name} twice")
        if asked.count(one.interface) > 1:
            raise BadRequest(f"cannot connect to network {network.name}: two interfaces {one.interface}")
        if network.driver == IPVLAN and one.mac:
            raise BadRequest(
                f"cannot connect to network {network.name}: an ipvlan has the MAC address of its parent, and no other"
            )
        if network.builtin:
            one = one._replace(asked={**one.asked, "Links": _links_by_id(parts, one)})  # noqa: PLW2901
        made.append((_endpoint(container_id, network, one, one.interface or next(free), now_ns), one))
    return made


def port_warnings(
    parts: Parts, asked: NetworkSpec, wanted: Sequence[tuple[Endpoint, Joining]]
) -> Iterator[str]:
    """Ports that nothing leads to, of which docker tells its log alone."""
    rows = [networks.get(parts.store.read(), endpoint.network_id) for endpoint, _ in wanted]
    beside = rows and all(row is not None and row.driver in ON_PARENT for row in rows)
    if beside and any(True for _ in wanted_bindings(asked)):
        yield "Published ports are discarded: on networks of macvlans and ipvlans a container is reached as a host"


def _network(parts: Parts, ref: str) -> Network:
    """What is not found at create is the image, for docker's command line, which would go and pull it."""
    try:
        return parts.networks.find(ref, "connect to")
    except NotFound as error:
        raise BadRequest(str(error)) from error


def _links_by_id(parts: Parts, one: Joining) -> list[str]:
    """On the default network a link is a line of /etc/hosts, so there must be somebody to link to, whatever he is
    called later. Raises BadRequest.
    """
    found = []
    for container, alias in links_of(one.asked):
        try:
            found.append(f"{containers.find(parts.store.read(), container).id}:{alias}")
        except (Missing, Ambiguous):
            raise BadRequest(
                f"cannot link to container {container}: could not get container for {container}"
            ) from None
    return found


def _endpoint(container_id: str, network: Network, one: Joining, interface: str, now_ns: int) -> Endpoint:
    endpoint_id = secrets.token_hex(32)
    return Endpoint(
        id=endpoint_id,
        container_id=container_id,
        network_id=network.id,
        mac=one.mac
        or ("" if network.driver == IPVLAN else mac_of(hashlib.sha256(endpoint_id.encode()).digest())),
        interface=interface,
        device="",
        asked=one.asked,
        aliases=one.aliases,
        created_at=now_ns,
    )


def interfaces(taken: Sequence[str] = ()) -> Iterator[str]:
    """``eth0``, ``eth1``, … that are free."""
    return (name for number in count() if (name := f"eth{number}") not in taken)


def join(
    conn: Connection,
    wanted: Sequence[tuple[Endpoint, Joining]],
    *,
    caller: Caller = DAEMON,
    tell: bool = False,
) -> None:
    """The rows: endpoints, and their addresses. Raises NotFound (a network is gone), Conflict, BadRequest."""
    for endpoint, one in wanted:
        network = networks.get(conn, endpoint.network_id)
        if network is None:
            raise NotFound(f"cannot find network {one.network}: network {one.network} not found")
        if endpoints.one(conn, endpoint.container_id, network.id) is not None:
            raise Conflict(f"cannot connect to network {network.name}: the container is on it already")
        endpoints.insert(conn, endpoint)
        give_addresses(conn, endpoint, [ip_address(address) for address in one.addresses])
        if tell:
            note(conn, network, "connect", endpoint.container_id, caller)


def tell_of(record: Record, action: Literal["connect", "disconnect"]) -> tuple[Aside, ...]:
    """The events of its networks at the beginning and the end of a run: none of another container's."""
    mode = record.spec.namespaces.net
    return (partial(_tell, container_id=record.id, mode=mode, action=action),) if mode in _OWN else ()


def _tell(conn: Connection, now_ns: int, container_id: str, mode: str, action: str) -> None:
    for network in _networks(conn, container_id, mode):
        note(conn, network, action, container_id, now_ns=now_ns)


def _networks(conn: Connection, container_id: str, mode: str) -> Iterator[Network]:
    if mode != BRIDGE:
        found = [networks.by_name(conn, mode)]
    else:
        taken = endpoints.of_container(conn, container_id)
        found = [networks.get(conn, endpoint.network_id) for endpoint in taken]
    return (network for network in found if network is not None)


def note(
    conn: Connection,
    network: Network,
    action: str,
    container_id: str,
    caller: Caller = DAEMON,
    *,
    now_ns: int | None = None,
) -> None:
    """Write docker's event of a container that came on a network, or left it."""
    told = {"name": network.name, "type": network.driver, "container": container_id}
    event_rows.note(conn, "network", action, network.id, told, caller=caller, now_ns=now_ns)
