"""The end of a container: its row first, so that a crash in between leaves only files, which the next start removes."""

from __future__ import annotations

import os
import shutil
from functools import partial
from sqlite3 import Connection

import trio

from pysup.store import containers
from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.engine.namespaces import HeldNamespaces
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.record import Record, Told
from pysup.supervisor.engine.states import Event
from pysup.supervisor.runtime import rootfs


async def remove(parts: Parts, record: Record, caller: Caller) -> None:
    """Take the step, then the files; ``destroy`` is told when nothing is left.

    With --rm the row goes at once; else it stays, removed, for as long as logs and history are kept.
    """
    destroyed = Told("destroy", {}, caller)
    keep = parts.settings.log_retention > 0 and not record.spec.auto_remove
    forget = None if keep else partial(_forget, container_id=record.id)
    await record.step(
        Event.REMOVE, told=[destroyed], also=forget, publish=False, columns={"removed_at": parts.now_ns()}
    )
    await HeldNamespaces(parts.link, record.id).release()
    directory = parts.settings.container_dir(record.id)
    remove_files = partial(rootfs.remove, directory) if keep else partial(remove_tree, directory)
    await trio.to_thread.run_sync(remove_files, limiter=parts.disk)
    record.publish(destroyed)


def _forget(conn: Connection, container_id: str) -> None:
    containers.delete(conn, container_id)


def remove_tree(directory: str) -> None:
    """A container's whole directory, logs and all."""
    rootfs.remove(directory)
    if os.path.isdir(directory):
        shutil.rmtree(directory)
