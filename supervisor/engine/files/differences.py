"""``diff``: what a container has changed, whatever state it is in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import trio

from pysup.supervisor.engine.containers.record import Record
from pysup.supervisor.engine.containers.states import State
from pysup.supervisor.engine.images.commit import rules_of
from pysup.supervisor.engine.images.feeding import told
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import NotFound
from pysup.supervisor.images.differences import Change, Overlay, changes
from pysup.supervisor.runtime import plan


async def differences(parts: Parts, record: Record) -> list[Change]:
    """In the order of their paths. Raises NotFound, Unavailable."""
    find = partial(changes, list(_overlays(parts, record)), rules_of(record.spec))
    try:
        found = await trio.to_thread.run_sync(find, limiter=parts.disk)
    except OSError as error:
        raise told(error, f"list the changes of container {record.row.name}") from error
    if record.state is State.REMOVED:
        raise NotFound(f"cannot list the changes of container {record.row.name}: it was removed meanwhile")
    return found


def _overlays(parts: Parts, record: Record) -> Iterator[Overlay]:
    """The root, and in the host image each further file system, once a run has shown it."""
    directory = parts.settings.container_dir(record.id)
    ground = (parts.settings.ground,) if record.spec.namespaces.user == "host" else ()
    yield Overlay("/", f"{directory}/upper", (*plan.layers_of(record.spec, parts.machine.skeleton), *ground))
    if plan.is_host_image(record.spec):
        for point, _flags in parts.filesystems.below():
            upper = f"{directory}/{plan.mount_directory(point)}/upper"
            if os.path.isdir(upper):
                yield Overlay(point, upper, (point,))
