"""A container comes on a network, or leaves one, in any state: first the rows, then, if it has a network now, that."""

from __future__ import annotations

import json
from functools import partial
from sqlite3 import Connection

from pysup.store import endpoints, networks
from pysup.store.endpoints import Endpoint
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.commands import Connect, Disconnect, Unlink
from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.run import Run
from pysup.supervisor.engine.networks import alone
from pysup.supervisor.engine.networks.joining import interfaces, join, note, wanted_endpoints
from pysup.supervisor.engine.networks.sandbox import Sandbox
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Forbidden, NotFound
from pysup.supervisor.spec.joining import links_of, without_link


async def connect(parts: Parts, record: Record, run: Run | None, command: Connect) -> None:
    """Raises Forbidden (it can come on no network), Conflict, BadRequest, Unavailable, and leaves nothing then."""
    _refuse_shared(record)
    runs = run is not None  # else its next run joins the network, and tells
    if none := alone.named(parts, command.joining.network):
        return await alone.come(parts, record, _sandbox(parts, record, run), none, command.caller, runs=runs)
    alone.refuse_others(record)
    taken = [one.interface for one in endpoints.of_container(parts.store.read(), record.id)]
    wanted = wanted_endpoints(parts, record.id, [command.joining], interfaces(taken), parts.now_ns())
    await record.note(also=partial(join, wanted=wanted, caller=command.caller, tell=runs))
    (endpoint, _) = wanted[0]
    sandbox = _sandbox(parts, record, run)
    try:
        await sandbox.plug_further(endpoint.id)
    except Exception:
        try:
            await sandbox.unplug(endpoint)
        finally:
            await record.note(also=partial(_leave, endpoint=endpoint, caller=command.caller, tell=runs))
        raise
    return None


async def disconnect(parts: Parts, record: Record, run: Run | None, command: Disconnect) -> None:
    """Raises Forbidden, NotFound (it is not on the network)."""
    _refuse_shared(record)
    sandbox = _sandbox(parts, record, run)
    if alone.is_none(command.network) and alone.is_alone(record):
        return await alone.leave(parts, record, sandbox, command.network, command.caller)
    found = endpoints.one(parts.store.read(), record.id, command.network.id)
    if found is None:
        name = record.row.name
        raise NotFound(
            f"cannot disconnect container {name}: container {name} is not connected to network {command.network.name}"
        )
    await sandbox.unplug(found)
    await record.note(also=partial(_leave, endpoint=found, caller=command.caller, tell=True))
    return await sandbox.changed()


def _leave(conn: Connection, endpoint: Endpoint, caller: Caller, *, tell: bool) -> None:
    endpoints.delete(conn, endpoint.id)
    network = networks.get(conn, endpoint.network_id)
    if tell and network is not None:
        note(conn, network, "disconnect", endpoint.container_id, caller)


async def unlink(parts: Parts, record: Record, run: Run | None, command: Unlink) -> None:
    """Raises NotFound: it has no such link."""
    found = endpoints.of_container(parts.store.read(), record.id)
    linked = next((one for one in found if command.alias in _aliases(one)), None)
    if linked is None:
        name = record.row.name
        raise NotFound(
            f"cannot remove link {name}/{command.alias}: container {name} has no link of this name"
        )
    host_config = json.loads(record.row.host_config)
    asked, documented = (without_link(links, command.alias) for links in (linked.asked, host_config))
    await record.note(
        columns={"host_config": documented},
        also=partial(endpoints.set_asked, endpoint_id=linked.id, asked=asked),
    )
    await _sandbox(parts, record, run).changed()


def _aliases(endpoint: Endpoint) -> list[str]:
    return [alias for _, alias in links_of(endpoint.asked)]


def _refuse_shared(record: Record) -> None:
    if record.spec.namespaces.net not in ("bridge", "none"):
        raise Forbidden(
            f"cannot change the networks of container {record.row.name}: "
            "it shares the network of the host or of another container"
        )


def _sandbox(parts: Parts, record: Record, run: Run | None) -> Sandbox:
    """The run's; between two runs, one that only knows of the network that is held."""
    return Sandbox(parts, record, record.row.run_number) if run is None else run.sandbox
