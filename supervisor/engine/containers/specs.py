"""From a container's row to its spec: the documents in the store are the truth, the spec is derived from them."""

from __future__ import annotations

import json
import os
from typing import Any

from pysup.store.containers import Container as Row
from pysup.supervisor.engine.images.images import Image, Images
from pysup.supervisor.runtime.machine import security_modules
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.spec.from_docker import Asked, Defaults, container_spec

DEFAULTS = Defaults(hostname=os.uname().nodename, cpus=os.cpu_count() or 0, modules=security_modules())
"""What this machine decides for a container that does not say."""


async def image_of(images: Images, asked: Asked) -> Image:
    """The image that is asked for, or the directory as one (--rootfs). Raises NotFound."""
    return await images.rootfs_image(asked.directory) if asked.directory else images.resolve(asked.image)


def spec_of(images: Images, row: Row, host_config: dict[str, Any] | None = None) -> ContainerSpec:
    """The frozen spec of a row, or of the same row with another host_config (update).

    A directory is not looked at: what is wrong with it is for a start to tell, and keeps nobody from a removal.
    """
    wanted = json.loads(row.host_config) if host_config is None else host_config
    directory = (wanted.get("Pysup") or {}).get("Rootfs") or ""
    lower = (directory,) if directory else images.resolve(row.image_id).lower
    config = json.loads(row.config)
    return container_spec(config, wanted, container_id=row.id, lower=lower, defaults=DEFAULTS)
