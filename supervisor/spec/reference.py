"""Image references: ``[registry/]repository[:tag][@digest]``, in docker's familiar form. Pure and light.

Grammar: distribution/reference. ``docker.io/library/alpine`` and ``alpine`` are the same image; here the
short form is the name that is stored and shown.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}", re.ASCII)
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?", re.ASCII)
_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}", re.ASCII)
_LONGEST = 255

HUB = "docker.io"
_HUB_ALIASES = {"docker.io", "index.docker.io"}
DEFAULT_TAG = "latest"


class Reference(NamedTuple):
    """A reference in its parts."""

    registry: str
    """``docker.io``, ``localhost:5000``, …"""
    path: str
    """``library/alpine``: the repository within the registry."""
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The familiar name without tag: ``alpine``, ``user/app``, ``localhost:5000/app``."""
        if self.registry != HUB:
            return f"{self.registry}/{self.path}"
        return self.path.removeprefix("library/")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"

    def tagged(self) -> Reference:
        """The same with the tag ``latest`` if it has neither tag nor digest."""
        return self if self.tag or self.digest else self._replace(tag=DEFAULT_TAG)


def parse_reference(text: str) -> Reference:
    """Read a reference. Raises ValueError; an image id is none (use looks_like_id first)."""
    name, at, digest = text.partition("@")
    name, tag = _split_tag(name)
    registry, path = _split_registry(name)
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError(f"invalid reference {text[:_LONGEST]!r}: bad digest")
    if tag is not None and not _TAG.fullmatch(tag):
        raise ValueError(f"invalid reference {text[:_LONGEST]!r}: bad tag")
    if _IMAGE_ID.fullmatch(name) or not _PATH.fullmatch(path) or not _HOST.fullmatch(registry):
        hint = ": repository name must be lowercase" if _PATH.fullmatch(path.lower()) else ""
        raise ValueError(f"invalid reference {text[:_LONGEST]!r}{hint}")
    if len(name) > _LONGEST:
        raise ValueError(f"invalid reference {text[:_LONGEST]!r}: repository name is too long")
    return Reference(registry, path, tag or "", digest)


def looks_like_id(text: str) -> bool:
    """Whether this is a whole image id, with or without ``sha256:``."""
    return _IMAGE_ID.fullmatch(text) is not None


def _split_tag(name: str) -> tuple[str, str | None]:
    """The last colon begins the tag, unless a slash follows it: then it begins a port."""
    head, colon, tail = name.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (name, None)


def _split_registry(name: str) -> tuple[str, str]:
    """The first part is a registry if it looks like a host: a dot or a port, localhost, or upper-case."""
    first, slash, rest = name.partition("/")
    is_host = slash and (
        any(sign in first for sign in ".:[") or first == "localhost" or first.lower() != first
    )
    registry, path = (first, rest) if is_host else (HUB, name)
    if registry in _HUB_ALIASES:
        return HUB, path if "/" in path else f"library/{path}"
    return registry, path
