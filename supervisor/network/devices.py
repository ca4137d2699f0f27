"""Whether a network can have the interface of the host that it names: found out when it is made, by trying."""

from __future__ import annotations

import errno

from pysup.supervisor.network import messages
from pysup.supervisor.network.kernel_parts import refused_link
from pysup.supervisor.network.messages import Link, Peer
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.network.probing import elsewhere


async def trouble_with_bridge(host: Netlink, name: str) -> str:
    """Why a new bridge cannot be called so; empty: it can."""
    found = await _find(host, name)
    if found is None:
        return ""
    kind = f"a {found.kind}" if found.kind else "a device"
    return f"the host has an interface {name} already, {kind} that pysup has not made; give the bridge another name"


async def trouble_with_parent(host: Netlink, name: str, kind: str, mode: str) -> str:
    """Why an interface cannot be the parent of others of this kind (``macvlan``, ``ipvlan``); empty: it can.

    One is made, in a network namespace that ends then. Raises NetlinkError: for a reason that is not the parent's.
    """
    found = await _find(host, name)
    if found is None:
        return f"the host has no interface {name}, which was to be the parent{_first_make(name)}"
    async with elsewhere() as namespace:
        try:
            await host.ask(messages.add_beside(Peer("try0", "", namespace), found.index, kind, mode))
        except NetlinkError as error:
            return refused_link(kind, error.errno or 0) or _refusal(error, name, kind)
    return ""


def _refusal(error: NetlinkError, name: str, kind: str) -> str:
    match error.errno:
        case errno.EBUSY:
            return f"interface {name} is a port of a bridge or a bond, or the parent of others than {kind}s already"
        case errno.EINVAL:
            return (
                f"interface {name} cannot be the parent of a {kind} (a loopback, or in mode passthru already)"
            )
    raise error


def _first_make(name: str) -> str:
    """Docker would make a VLAN of such a name."""
    parent, dot, number = name.rpartition(".")
    vlan = dot and number.isascii() and number.isdigit()
    return f"; make it first: ip link add link {parent} name {name} type vlan id {number}" if vlan else ""


async def _find(host: Netlink, name: str) -> Link | None:
    return messages.by_name(await host.dump(messages.list_links(), messages.read_link)).get(name)
