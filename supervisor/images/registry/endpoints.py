"""Where a registry is, and how far it is trusted (dockerd's --registry-mirror and --insecure-registry). Pure.

Mirrors are those of docker's hub only. A registry that may be insecure is tried by TLS without verification first,
then without TLS; the loopback interface always may be (moby registry/config.go, service_v2.go).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from pysup.supervisor.errors import BadRequest, Unavailable
from pysup.supervisor.spec.reference import HUB, Reference

HUB_HOST = "registry-1.docker.io"
LOOPBACK = "localhost"


class Policy(NamedTuple):
    """What the daemon was told of registries."""

    mirrors: Sequence[str] = ()
    """URLs, to be asked before docker's hub."""
    insecure: Sequence[str] = ()
    """Hosts, with or without port, and networks (CIDR)."""


class Endpoint(NamedTuple):
    """One place to ask."""

    url: str
    """Scheme, host and perhaps a port; without a slash at the end."""
    verified: bool = True
    """Whether the certificate must be good."""
    is_mirror: bool = False

    @property
    def host(self) -> str:
        """``host[:port]``."""
        return urlsplit(self.url).netloc


def endpoints_for(registry: str, policy: Policy) -> list[Endpoint]:
    """All places to ask for what is called after ``registry``, the one to be asked first first."""
    own = _endpoints(HUB_HOST if registry == HUB else registry, policy.insecure)
    if registry != HUB:
        return own
    mirrors = (
        Endpoint(url.rstrip("/"), not is_insecure(urlsplit(url).netloc, policy.insecure), is_mirror=True)
        for url in policy.mirrors
    )
    return [*mirrors, *own]


def _endpoints(host: str, insecure: Sequence[str]) -> list[Endpoint]:
    if not is_insecure(host, insecure):
        return [Endpoint(f"https://{host}")]
    return [Endpoint(f"https://{host}", verified=False), Endpoint(f"http://{host}", verified=False)]


def is_insecure(host: str, insecure: Sequence[str]) -> bool:
    """Whether ``host[:port]`` may go without a good certificate. Names are not looked up."""
    name = host_name(host)
    address = _address(name)
    return is_loopback(host) or any(
        one in {host, name} or (address is not None and _contains(one, address)) for one in insecure
    )


def is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is this machine itself."""
    address = _address(host_name(host))
    return host_name(host) == LOOPBACK or (address is not None and address.is_loopback)


def host_name(host: str) -> str:
    """Without the port; an IPv6 address without its brackets, too."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _contains(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network)
    except ValueError:
        return False


def check_mirror(url: str) -> str:
    """A mirror as dockerd takes it. Raises BadRequest."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        raise BadRequest(f"cannot use registry mirror {url[:200]!r}: it is not http[s]://HOST[:PORT]")
    return url


def check_insecure(text: str) -> str:
    """A host with or without port, or a network. Raises BadRequest."""
    if not text or "://" in text or ("/" in text and not _is_network(text)):
        raise BadRequest(f"cannot use insecure registry {text[:200]!r}: it is not HOST[:PORT] or a network")
    return text


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


# -- paths of the protocol (OCI distribution-spec, Endpoints) --------------------------------------------------


def manifest_path(name: Reference) -> str:
    """Of what a reference means: its digest, if it has one."""
    return f"/v2/{name.path}/manifests/{name.digest or name.tagged().tag}"


def blob_path(repository: str, digest: str) -> str:
    """Of a blob; ``repository`` is a Reference's path."""
    return f"/v2/{repository}/blobs/{digest}"


def uploads_path(repository: str) -> str:
    """Where an upload begins."""
    return f"/v2/{repository}/blobs/uploads/"


def tags_path(repository: str) -> str:
    """Of the list of its tags."""
    return f"/v2/{repository}/tags/list"


def upload_place(asked: str, location: str) -> str:
    """Where an upload goes on: the ``Location`` of the answer to the URL ``asked``. Raises Unavailable.

    Nothing that was to go by TLS goes without; a registry behind a gateway may not know that it has TLS.
    """
    own = urlsplit(asked)
    try:
        place = urlsplit(urljoin(asked, location))
    except ValueError:
        place = urlsplit("")
    if not location or not place.hostname or place.scheme not in {"http", "https"}:
        raise Unavailable(f"cannot upload to {own.netloc}: it names no place for that")
    if own.scheme == "https" and place.scheme == "http":
        if place.netloc != own.netloc:
            raise Unavailable(f"cannot upload to {own.netloc}: it wants the content at a place without TLS")
        place = place._replace(scheme="https")
    return place.geturl()


def scope_of(repository: str, *actions: str) -> str:
    """What a token is to allow (distribution, token scope)."""
    return f"repository:{repository}:{','.join(actions)}"
