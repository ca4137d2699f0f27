"""From a container's row to its spec: the documents in the store are the truth, the spec is derived from them."""

from __future__ import annotations

import json
from typing import Any

from pysup.store.containers import Container as Row
from pysup.supervisor.engine.images import Images
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.spec.from_docker import container_spec


def spec_of(images: Images, row: Row, host_config: dict[str, Any] | None = None) -> ContainerSpec:
    """The frozen spec of a row, or of the same row with another host_config (update)."""
    wanted = json.loads(row.host_config) if host_config is None else host_config
    return container_spec(
        json.loads(row.config), wanted, container_id=row.id, lower=images.lower_of(row.image_id, wanted)
    )
