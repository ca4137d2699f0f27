"""What is asked of a build beside its context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.images.platforms import Platform
from pysup.supervisor.images.registry.credentials import NOBODY, Credentials
from pysup.supervisor.spec.reference import Reference

DOCKERFILE = "Dockerfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One build. The defaults are docker's."""

    caller: Caller
    dockerfile: str = DOCKERFILE
    """Its path in the context."""
    names: tuple[Reference, ...] = ()
    """What the image is to be called."""
    quiet: bool = False
    """Nothing but the id at the end."""
    no_cache: bool = False
    cache_from: tuple[str, ...] = ()
    """Images whose steps may be used again, and no others; none: all that are known."""
    pull: bool = False
    """Ask the registry for each base image, also for one that is there."""
    keep: bool = False
    """Leave the containers of steps (--rm=false)."""
    remove_failed: bool = False
    """Remove them also when their command has failed (--force-rm)."""
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    platform: Platform | None = None
    host: Mapping[str, Any] = field(default_factory=dict)
    """Docker's HostConfig of the containers of RUN: limits, network, …"""
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    """By registry."""

    def credentials_for(self, registry: str) -> Credentials:
        """Who asks this registry."""
        return self.credentials.get(registry, NOBODY)
