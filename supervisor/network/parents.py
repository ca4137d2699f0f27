"""Interfaces of the host that macvlans and ipvlans are beside; one that is a VLAN of ours is made, and goes again.

A VLAN that was made for a network carries its mark (``alias`` of ip-link(8)): so it is known, whoever has made it, and
what is anybody else's stays. Only one network has an interface, so the mark of another one is left from a crash.
"""

from __future__ import annotations

import errno

from pysup.supervisor.errors import NotFound
from pysup.supervisor.network import messages
from pysup.supervisor.network.messages import Link
from pysup.supervisor.network.netlink import Netlink, NetlinkError

Vlan = tuple[str, int]
"""The interface that it is on, and its number."""
_MARK = "pysup network "


async def find_link(host: Netlink, name: str) -> Link | None:
    """An interface by its name. Raises NetlinkError."""
    return messages.by_name(await host.dump(messages.list_links(), messages.read_link)).get(name)


async def ensure_parent(host: Netlink, name: str, vlan: Vlan | None, network_id: str) -> int:
    """The index of an interface; a VLAN is made where there is none of the name. Raises NotFound, NetlinkError."""
    mark, found = f"{_MARK}{network_id}", await find_link(host, name)
    if found is None:
        await _make(host, name, vlan, mark)
        found = await find_link(host, name)
    elif found.mark.startswith(_MARK) and found.mark != mark:
        await host.ask(messages.set_mark(name, mark))
    if found is None:
        raise NetlinkError(errno.ENODEV, f"find VLAN {name}")
    return found.index


async def _make(host: Netlink, name: str, vlan: Vlan | None, mark: str) -> None:
    below = None if vlan is None else await find_link(host, vlan[0])
    if vlan is None or below is None:
        or_else = "" if vlan is None else f", and no {vlan[0]}, of which it could be made a VLAN"
        raise NotFound(f"the host has no interface {name}, which is to be the parent{or_else}")
    await host.ask(messages.add_vlan(name, below.index, vlan[1]), messages.set_mark(name, mark))


async def remove_vlan(host: Netlink, name: str, network_id: str) -> None:
    """Take a VLAN away that was made for a network; one that is gone, or somebody else's, is left alone.

    Raises NetlinkError.
    """
    found = await find_link(host, name)
    if found is not None and found.kind == "vlan" and found.mark == f"{_MARK}{network_id}":
        await host.ask(messages.delete_link(name))
