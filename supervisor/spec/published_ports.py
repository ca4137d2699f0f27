"""Ports that are published further, and no more, of a container that is there (``pysup update``). Pure.

PublishAdd and PublishRemove in the body of an update have the form of HostConfig.PortBindings. An entry to remove that
names no port of the host means all of that port inside.
"""

from __future__ import annotations

from collections.abc import Sequence

from pysup.supervisor.errors import Conflict
from pysup.supervisor.spec.documents import port_bindings
from pysup.supervisor.spec.fields import Fields, Json

ADD, REMOVE = "PublishAdd", "PublishRemove"
Published = tuple[str, int]
"""``80/tcp``, and the port of the host that it has now."""


def changed_bindings(asked: Fields, host_config: Json, published: Sequence[Published]) -> Json:
    """HostConfig.PortBindings as they are to be; empty: nothing is asked. Raises BadRequest, Conflict."""
    if not (asked.raw(ADD) or asked.raw(REMOVE)):
        return {}
    mode = str(host_config.get("NetworkMode"))
    if mode in ("none", "host") or mode.startswith("container:"):
        raise asked.bad(
            f"--publish-add and --publish-rm conflict with --network {mode[:80]}: it has no ports of its own"
        )
    bindings = {port: list(entries) for port, entries in (host_config.get("PortBindings") or {}).items()}
    for port, entries in port_bindings(asked, REMOVE).items():
        _remove(bindings, port, entries, published)
    for port, entries in port_bindings(asked, ADD).items():
        present = bindings.setdefault(port, [])
        present += [entry for entry in entries or [{"HostIp": "", "HostPort": ""}] if entry not in present]
    return {"PortBindings": {port: entries for port, entries in bindings.items() if entries}}


def _remove(
    bindings: dict[str, list[Json]], port: str, entries: list[Json], published: Sequence[Published]
) -> None:
    for entry in entries or [{"HostIp": "", "HostPort": ""}]:
        numbers = [number for inside, number in published if inside == port]
        left = [one for one in bindings.get(port, []) if not _means(entry, one, numbers)]
        if len(left) == len(bindings.get(port, [])):
            where = ":".join(filter(None, (entry["HostIp"], entry["HostPort"], port)))
            raise Conflict(f"cannot update container: --publish-rm {where}: it publishes no such port")
        bindings[port] = left


def _means(entry: Json, binding: Json, numbers: Sequence[int]) -> bool:
    """Whether a binding is one that is to go; a random port is known by the number that it has now."""
    address, number = entry["HostIp"], entry["HostPort"]
    if address and address != binding["HostIp"]:
        return False
    chosen = not binding["HostPort"].isdigit() and number.isdigit() and int(number) in numbers
    return not number or number == binding["HostPort"] or chosen
