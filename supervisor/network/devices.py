"""Whether a network can have the interface of the host that it names: found out when it is made, by trying."""

from __future__ import annotations

import errno

from pysup.supervisor.network import messages
from pysup.supervisor.network.kernel_parts import refused_link
from pysup.supervisor.network.messages import Kind, Peer
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.network.parents import find_link
from pysup.supervisor.network.probing import elsewhere
from pysup.supervisor.network.wiring import take_out

_TRIAL = "try0"


async def trouble_with_bridge(host: Netlink, name: str) -> str:
    """Why a new bridge cannot be called so; empty: it can."""
    found = await find_link(host, name)
    if found is None:
        return ""
    kind = f"a {found.kind}" if found.kind else "a device"
    return f"the host has an interface {name} already, {kind} that pysup has not made; give the bridge another name"


async def trouble_with_parent(host: Netlink, name: str, index: int, kind: Kind) -> str:
    """Why an interface cannot be the parent of others of this kind; empty: it can.

    One is made elsewhere, and taken away at once: the end of its namespace would come a little later, and of those in
    mode passthru there is one. Raises NetlinkError: for a reason that is not the parent's.
    """
    async with elsewhere() as namespace:
        try:
            await host.ask(messages.add_beside(Peer(_TRIAL, "", namespace), index, kind))
        except NetlinkError as error:
            return refused_link(kind.name, error.errno or 0) or _refusal(error, name, kind.name)
        await take_out(namespace, _TRIAL)
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
