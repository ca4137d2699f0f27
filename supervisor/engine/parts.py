"""What every container's task needs of the daemon, passed down as one frozen value."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import trio

from pysup.store.store import Store
from pysup.supervisor.engine.containers.directories_ahead import DirectoriesAhead
from pysup.supervisor.engine.containers.id_ranges import IdRanges
from pysup.supervisor.engine.images.images import Images
from pysup.supervisor.engine.networks.networks import Networks
from pysup.supervisor.engine.news import NewsDesk
from pysup.supervisor.engine.secrets.secrets import Secrets
from pysup.supervisor.engine.trash import Trash
from pysup.supervisor.engine.volumes.volumes import Volumes
from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.logs.budget import Budget
from pysup.supervisor.runtime.cgroups.base import Hierarchy
from pysup.supervisor.runtime.filesystems import Filesystems
from pysup.supervisor.runtime.on_mount import OnMount
from pysup.supervisor.runtime.plan import Machine
from pysup.supervisor.runtime.seccomp.filters import Filters
from pysup.supervisor.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """The daemon's services. Times are nanoseconds since the epoch, from the one clock here."""

    settings: Settings
    store: Store
    link: Link
    hierarchy: Hierarchy
    machine: Machine
    filesystems: Filesystems
    upper_layers: OnMount
    """Why the mount in which they are made cannot hold what containers write (upper_layers.py)."""
    filters: Filters
    images: Images
    volumes: Volumes
    directories: DirectoriesAhead
    id_ranges: IdRanges
    secrets: Secrets
    networks: Networks
    news: NewsDesk
    trash: Trash
    logs: Budget
    disk: trio.CapacityLimiter
    """Bounds the threads that look through big trees or copy files."""
    now_ns: Callable[[], int] = time.time_ns
