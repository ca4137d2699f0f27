"""The other name servers that a resolver asks. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pysup.supervisor.network.names.resolv_conf import ResolvConf, external_servers

_PORT = 53
_MOST = 3
"""Servers that are tried; docker's, and MAXNS of resolv.conf(5)."""
_TIMEOUT, _LONGEST = 4.0, 30.0
_MOST_ATTEMPTS = 5
"""RES_MAXRETRY of resolv.conf(5)."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Another name server."""

    address: str
    """IPv4, or IPv6 with or without a zone (``fe80::1%eth0``)."""
    namespace: int | None = None
    """A descriptor of the network namespace to ask it from; None: the daemon's own."""
    port: int = _PORT


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Whom to ask what the zone does not know. Without servers, that is a failure (SERVFAIL)."""

    servers: tuple[Upstream, ...] = ()
    timeout: float = _TIMEOUT
    """Seconds for each server; docker's, unless resolv.conf says otherwise."""
    attempts: int = 1
    """How often all of them are tried."""
    short_names: bool = True
    """False: names without a dot have no addresses elsewhere (ResolvConf.forwards_short_names)."""


def upstreams_of(conf: ResolvConf, namespace: int, *, outside: bool = True) -> Upstreams:
    """Those of a container, from its resolv.conf as overridden.

    ``namespace`` is a descriptor of the container's own. ``outside`` is false for one that is only on internal
    networks: the host's servers are not for it, as with docker.
    """
    found = external_servers(conf) if outside else [one for one in external_servers(conf) if one[1]]
    servers = tuple(
        Upstream(str(address), namespace if inside else None) for address, inside in found[:_MOST]
    )
    return Upstreams(
        servers,
        timeout=min(conf.number("timeout") or _TIMEOUT, _LONGEST),
        attempts=min(conf.number("attempts") or 1, _MOST_ATTEMPTS),
        short_names=conf.forwards_short_names(),
    )
