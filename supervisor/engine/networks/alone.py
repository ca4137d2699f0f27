"""The network ``none``: a container has it alone, and can leave it for others and come back, as with docker.

There is nothing to plug in. What NetworkMode was when the container was made stays; where it is by now, if that is
something else, stands beside it (HostConfig.Pysup.OnNone), so the documents alone say what its next run gets.
"""

from __future__ import annotations

import json
from functools import partial

from pysup.store import endpoints, networks
from pysup.store.networks import Network
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.record import Record, Write
from pysup.supervisor.engine.containers.specs import spec_of
from pysup.supervisor.engine.networks.joining import note
from pysup.supervisor.engine.networks.sandbox import Sandbox
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Conflict, Forbidden
from pysup.supervisor.spec.network import ON_NONE

_WITH_OTHERS = (
    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
)
"""Docker's words (moby runconfig/errors.go)."""


def is_none(network: Network | None) -> bool:
    """Whether it is this one."""
    return network is not None and network.driver == "null"


def is_alone(record: Record) -> bool:
    """Whether the container is on it."""
    return record.spec.namespaces.net == "none"


def named(parts: Parts, network_id: str) -> Network | None:
    """The network, if it is this one."""
    found = networks.get(parts.store.read(), network_id)
    return found if is_none(found) else None


def refuse_others(record: Record) -> None:
    """Raises Forbidden: the container is on it, so it can come on no other."""
    if is_alone(record):
        raise Forbidden(
            f"cannot connect container {record.row.name}: {_WITH_OTHERS}; disconnect it from none"
        )


async def come(
    parts: Parts, record: Record, sandbox: Sandbox, network: Network, caller: Caller, *, runs: bool
) -> None:
    """One that does not run tells of it when it does. Raises Forbidden (it is on others), Conflict (it is here)."""
    if is_alone(record):
        raise Conflict(f"cannot connect to network {network.name}: the container is on it already")
    if endpoints.of_container(parts.store.read(), record.id):
        raise Forbidden(f"cannot connect container {record.row.name} to {network.name}: {_WITH_OTHERS}")
    told = partial(note, network=network, action="connect", container_id=record.id, caller=caller)
    await _settle(parts, record, sandbox, told if runs else None, here=True)


async def leave(parts: Parts, record: Record, sandbox: Sandbox, network: Network, caller: Caller) -> None:
    """The container is on it. It is on no network then."""
    told = partial(note, network=network, action="disconnect", container_id=record.id, caller=caller)
    await _settle(parts, record, sandbox, told, here=False)


async def _settle(parts: Parts, record: Record, sandbox: Sandbox, told: Write | None, *, here: bool) -> None:
    host = json.loads(record.row.host_config)
    host = {**host, "Pysup": {**(host.get("Pysup") or {}), ON_NONE: here}}
    spec = spec_of(parts.images, record.row, host)
    await record.note(columns={"host_config": host}, also=told)
    record.spec = spec
    await sandbox.changed()
