"""/etc/hosts of a container, as docker writes it (moby libnetwork/etchosts). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.network.addresses import Address

PATH = "/etc/hosts"
HOST_GATEWAY = "host-gateway"
"""In --add-host: the addresses by which the host can be reached."""
_LOCAL = "127.0.0.1\tlocalhost\n"
_LOCAL6 = """\
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


class ExtraHost(NamedTuple):
    """One --add-host, read."""

    name: str
    address: str
    """An IP address, or HOST_GATEWAY."""


class Line(NamedTuple):
    """One line of the file: whose address it is, and what that one is called here."""

    address: Address
    names: str


def render_hosts(
    names: str,
    addresses: Iterable[Address],
    extra: Iterable[ExtraHost] = (),
    *,
    gateways: Iterable[Address] = (),
    linked: Iterable[Line] = (),
    ipv6: bool = True,
) -> str:
    """The file. ``names`` is what own_names() gives, ``addresses`` are the container's own on all its networks.

    ``gateways`` are what host-gateway stands for, ``linked`` are other containers; ``ipv6`` is false where the
    container's kernel has it disabled. Raises BadRequest: host-gateway is asked for, and there is none.
    """
    lines = [_LOCAL, _LOCAL6 if ipv6 else "", render_extra(extra, gateways)]
    own = [Line(address, names) for address in addresses]
    lines += [
        f"{line.address}\t{line.names}\n"
        for line in (*linked, *own)
        if ipv6 or line.address.version == 4  # noqa: PLR2004
    ]
    return "".join(lines)


def render_extra(extra: Iterable[ExtraHost], gateways: Iterable[Address]) -> str:
    """The lines of --add-host. Raises BadRequest, as render_hosts()."""
    ways = tuple(gateways)
    return "".join(f"{address}\t{host.name}\n" for host in extra for address in _resolved(host, ways))


def _resolved(host: ExtraHost, gateways: tuple[Address, ...]) -> tuple[str, ...]:
    if host.address != HOST_GATEWAY:
        return (host.address,)
    if not gateways:
        raise BadRequest(
            f"cannot use --add-host {host.name}:{HOST_GATEWAY}: the host has no address for containers"
        )
    return tuple(str(gateway) for gateway in gateways)


def own_names(hostname: str, domainname: str = "") -> str:
    """How a container's own line calls it: by the full name, and by what is before the first dot."""
    full = f"{hostname}.{domainname}" if domainname else hostname
    short, dot, _ = full.partition(".")
    return f"{full} {short}" if dot else full
