"""The end of a container: its row first, so that a crash in between leaves only files, which the next start removes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from sqlite3 import Connection

import trio

from pysup.store import containers
from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.engine.namespaces import HeldNamespaces
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.record import Record, Told
from pysup.supervisor.engine.states import Event
from pysup.supervisor.engine.stdio import ContainerStdio
from pysup.supervisor.runtime import rootfs

log = logging.getLogger(__name__)


async def remove(
    parts: Parts, record: Record, caller: Caller, stdio: ContainerStdio, nursery: trio.Nursery
) -> None:
    """Take the step, then the files; ``destroy`` is told when nothing is left.

    With --rm the row goes at once, and the log as soon as those who are attached have read it; else the row
    stays, removed, for as long as logs and history are kept.
    """
    destroyed = Told("destroy", {}, caller)
    keep = parts.settings.log_retention > 0 and not record.spec.auto_remove
    forget = None if keep else partial(_forget, container_id=record.id)
    await record.step(
        Event.REMOVE, told=[destroyed], also=forget, publish=False, columns={"removed_at": parts.now_ns()}
    )
    await HeldNamespaces(parts.link, record.id).release()
    finish = partial(_remove_files, parts, record, rootfs.remove if keep else remove_tree, destroyed)
    if keep or not stdio.attached:
        await finish()
    else:
        nursery.start_soon(_when_all_is_read, stdio, finish)


async def _when_all_is_read(stdio: ContainerStdio, finish: Callable[[], Awaitable[None]]) -> None:
    await stdio.unattended()
    try:
        await finish()
    except OSError as error:
        log.error("cannot remove a container's files: %s", error)


async def _remove_files(parts: Parts, record: Record, how: Callable[[str], None], destroyed: Told) -> None:
    directory = parts.settings.container_dir(record.id)
    await trio.to_thread.run_sync(how, directory, limiter=parts.disk)
    record.publish(destroyed)


def _forget(conn: Connection, container_id: str) -> None:
    containers.delete(conn, container_id)


def remove_tree(directory: str) -> None:
    """A container's whole directory, logs and all."""
    rootfs.remove(directory)
    if os.path.isdir(directory):
        shutil.rmtree(directory)
