"""The end of a container: its row first, so that a crash in between leaves only files, which the next start removes.

With --rm the row goes at once, and the log as soon as those who are attached have read it; else the row stays,
removed, for as long as logs and history are kept. What never ran has no log to keep.
"""

from __future__ import annotations

import logging
from functools import partial
from sqlite3 import Connection

import trio

from pysup.store import containers, secrets, volumes
from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.engine.containers.record import Change, Record, Told
from pysup.supervisor.engine.containers.states import Event
from pysup.supervisor.engine.containers.stdio import ContainerStdio
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.volumes.volumes import note
from pysup.supervisor.runtime import rootfs
from pysup.supervisor.spec.volumes import DRIVER

log = logging.getLogger(__name__)


class Removal:
    """First ``change`` is committed, by itself or together with the end of a run; then finish()."""

    def __init__(
        self, parts: Parts, record: Record, caller: Caller = DAEMON, *, volumes: bool = False
    ) -> None:
        self._parts = parts
        self._record = record
        self._caller = caller
        self._with_volumes = volumes or record.spec.auto_remove
        self._dropped: list[str] = []
        self._destroyed = Told("destroy", {}, caller)
        self._remembered = parts.settings.log_retention > 0 and not record.spec.auto_remove

    @property
    def change(self) -> Change:
        """What is committed; ``destroy`` is published when nothing is left."""
        return Change(
            passed=(Event.REMOVE,),
            columns={"removed_at": self._parts.now_ns()},
            writes=(
                self._release,
                *(() if self._remembered else (partial(_forget, container_id=self._record.id),)),
            ),
            unpublished=(self._destroyed,),
        )

    def _release(self, conn: Connection) -> None:
        """In the transaction, which may be tried again."""
        secrets.release(conn, self._record.id)
        self._dropped = volumes.release(conn, self._record.id, drop_anonymous=self._with_volumes)
        for name in self._dropped:
            note(conn, name, "destroy", {"driver": DRIVER}, self._caller)

    async def finish(self, stdio: ContainerStdio, nursery: trio.Nursery) -> None:
        """Let go of everything that the container had."""
        await HeldNamespaces(self._parts.link, self._record.id).release()
        self._parts.volumes.throw(self._dropped)
        if self._remembered or not stdio.attached:
            self._remove_files()
        else:
            nursery.start_soon(self._when_all_is_read, stdio)

    async def _when_all_is_read(self, stdio: ContainerStdio) -> None:
        await stdio.unattended()
        self._remove_files()

    @property
    def _has_log(self) -> bool:
        """Whether something stays that can be read later: what never ran has printed nothing."""
        has_run = self._record.row.started_at is not None
        return self._remembered and self._record.spec.log.kept and has_run

    def _remove_files(self) -> None:
        """What cannot be removed now is, with the row gone, a leftover that the engine's next start removes."""
        directory = self._parts.settings.container_dir(self._record.id)
        try:
            if self._has_log:
                self._parts.trash.throw(*rootfs.parts(directory))
            else:
                self._parts.trash.throw_container(directory)
        except OSError as error:
            log.error("cannot remove %s: %s", directory, error.strerror)
        self._record.publish(self._destroyed)


def _forget(conn: Connection, container_id: str) -> None:
    containers.delete(conn, container_id)
