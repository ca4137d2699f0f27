"""Who asks: what docker's clients send in X-Registry-Auth and to /auth (moby api/types/registry, AuthConfig). Pure."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NamedTuple

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.reference import HUB, parse_reference

_LONGEST = 64 << 10
_HUB_HOSTS = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})
_FIELDS = ("username", "password", "identitytoken", "registrytoken")


class Credentials(NamedTuple):
    """Empty texts: nobody in particular."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    """Of OAuth2: bought with a password once, buys tokens."""
    registry_token: str = ""
    """A token itself."""

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"  # what is secret is in no log

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617); empty without a name."""
        if not self.username:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


NOBODY = Credentials()


def from_document(document: Any) -> Credentials:  # noqa: ANN401 - JSON
    """An AuthConfig. Raises BadRequest."""
    if not isinstance(document, dict):
        raise BadRequest("cannot use the credentials: they are not a JSON object")
    found = [document.get(name) or "" for name in _FIELDS]
    if not all(isinstance(text, str) for text in found):
        raise BadRequest("cannot use the credentials: a field is not a string")
    if not found[0] and isinstance(document.get("auth"), str) and document["auth"]:
        found[:2] = split_auth(document["auth"])
    return Credentials(*found)


def registry_of(address: object) -> str:
    """The registry of an AuthConfig's ``serveraddress``: a host, or a URL as older clients send it.

    Raises BadRequest.
    """
    if not isinstance(address, str):
        raise BadRequest("cannot use the credentials: serveraddress is not a string")
    try:
        return parse_reference(f"{_host(address)}/x").registry
    except ValueError:
        raise BadRequest(f"cannot use the credentials: {address[:200]!r} is no registry") from None


def split_auth(text: str) -> tuple[str, str]:
    """``base64(name:password)``, as config.json keeps it. Raises BadRequest."""
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().rstrip("\0").partition(":")
    except ValueError:
        colon = name = password = ""
    if not colon:
        raise BadRequest("cannot use the credentials: auth is not base64 of NAME:PASSWORD")
    return name, password


def from_header(header: str | None) -> Credentials:
    """X-Registry-Auth: base64url of a JSON document, with or without padding. Raises BadRequest."""
    return from_document(_decoded(header, "X-Registry-Auth")) if header else NOBODY


def registries_from_header(header: str | None) -> dict[str, Credentials]:
    """X-Registry-Config, of a build: an object of such documents, by registry. Raises BadRequest."""
    if not header:
        return {}
    document = _decoded(header, "X-Registry-Config")
    if not isinstance(document, dict):
        raise BadRequest("cannot use the header X-Registry-Config: it is not a JSON object")
    return {_host(name): from_document(one) for name, one in document.items()}


def _host(address: str) -> str:
    """``https://index.docker.io/v1/`` is how docker's clients call the hub."""
    host = (address.partition("://")[2] or address).partition("/")[0]
    return HUB if not host or host in _HUB_HOSTS else host


def _decoded(header: str, name: str) -> Any:  # noqa: ANN401 - JSON
    try:
        padded = header.strip().replace("+", "-").replace("/", "_").rstrip("=")
        content = base64.b64decode(padded + "=" * (-len(padded) % 4), altchars=b"-_", validate=True)
        document = json.loads(content[:_LONGEST]) if content else {}
    except (ValueError, RecursionError, binascii.Error):
        raise BadRequest(f"cannot use the header {name}: it is not base64url of JSON") from None
    return {} if document is None else document
