"""Modes of a create body that name another container: by its id from here on, with what is kept of that one.

A name may be another container's later, and what is kept (how it is called, which ids it has) never changes in its
life: so the documents alone say all, as for any other container.
"""

from __future__ import annotations

import json
from typing import Any

from pysup.store import containers
from pysup.store.containers import Container as Row
from pysup.store.errors import Ambiguous, Missing
from pysup.supervisor.engine.containers.specs import spec_of
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.from_docker import CREATE
from pysup.supervisor.spec.namespaces import joined_ids, namespaces, refuse_names
from pysup.supervisor.spec.network import CONTAINER, refuse_conflicts

Json = dict[str, Any]

SHARED = {
    "NetworkMode": "the network",
    "PidMode": "the processes",
    "IpcMode": "the IPC",
    "UTSMode": "the host name",
    "CgroupnsMode": "the cgroup namespace",
    "UsernsMode": "the user namespace",
}
"""Modes that may name another container, and what is joined."""
_NAMING = ("UTSMode", "NetworkMode")
"""Whose name a container has that shares it; that of the first one counts."""


def with_ids(parts: Parts, body: Json) -> Json:
    """A create body in which other containers are named by their ids.

    Who is in another one's network, or has its host name, is called what that one is called. Raises BadRequest.
    """
    refuse_conflicts(Fields(CREATE, body))
    refuse_names(Fields(CREATE, body))
    host = body.get("HostConfig")
    if not isinstance(host, dict):
        return body
    rows = {key: _found(parts, host[key], what) for key, what in SHARED.items() if _names_one(host.get(key))}
    called = {} if host.get("UTSMode") == "host" else _called_as(parts, rows)
    missing = {key: name for key, name in called.items() if not body.get(key)}
    return {
        **body,
        **missing,
        "HostConfig": {**host, **{key: CONTAINER + row.id for key, row in rows.items()}},
    }


def joined_by(row: Row) -> set[str]:
    """The ids of containers whose namespaces a container joins."""
    host = json.loads(row.host_config)
    return {host[key].removeprefix(CONTAINER) for key in SHARED if _names_one(host.get(key))}


def ids_of(row: Row) -> Json:
    """What is kept of a container whose user namespace is joined: empty if it has the host's ids."""
    host = json.loads(row.host_config)
    own = host.get("Pysup") or {}
    chosen = own.get("IdRange") or (own.get("JoinedIds") or {}).get("Range") or {}
    return joined_ids(namespaces(Fields(CREATE, host, "HostConfig")), chosen)


def _called_as(parts: Parts, rows: dict[str, Row]) -> Json:
    row = next((rows[key] for key in _NAMING if key in rows), None)
    if row is None:
        return {}
    spec = spec_of(parts.images, row)
    return {"Hostname": spec.hostname, "Domainname": spec.domainname}


def _names_one(mode: object) -> bool:
    return isinstance(mode, str) and mode.startswith(CONTAINER) and mode != CONTAINER


def _found(parts: Parts, mode: str, what: str) -> Row:
    ref = mode.removeprefix(CONTAINER)
    try:
        return containers.find(parts.store.read(), ref)
    except Missing:
        raise BadRequest(
            f"cannot {CREATE}: cannot join {what} of container {ref}: No such container: {ref}"
        ) from None
    except Ambiguous as error:
        raise BadRequest(f"cannot {CREATE}: the prefix {ref} is that of several ids") from error
