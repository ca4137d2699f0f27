"""Every operation of the API, one file for each resource. A route calls the engine and renders what comes back."""

from __future__ import annotations

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes import (
    absent,
    attach,
    builds,
    commit,
    containers,
    disk_usage,
    events,
    execs,
    files,
    image_archives,
    images,
    lists,
    logs,
    networks,
    own,
    registry,
    run,
    secrets,
    stats,
    system,
    volumes,
    wait,
)

ALL_ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *disk_usage.ROUTES,
    *events.ROUTES,
    *lists.ROUTES,
    *containers.ROUTES,
    *wait.ROUTES,
    *attach.ROUTES,
    *logs.ROUTES,
    *stats.ROUTES,
    *execs.ROUTES,
    *registry.ROUTES,
    *commit.ROUTES,
    *builds.ROUTES,
    *files.ROUTES,
    *image_archives.ROUTES,
    *images.ROUTES,
    *networks.ROUTES,
    *volumes.ROUTES,
    *own.ROUTES,
    *secrets.ROUTES,
    *run.ROUTES,
    *absent.ROUTES,
)
"""More particular paths first: /containers/json before /containers/{id}."""
