"""Which ids of the host are free: chosen before a container is made, its own once its row is there."""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection

from pysup.store import id_ranges
from pysup.supervisor.engine.containers import nested_ids
from pysup.supervisor.errors import Conflict
from pysup.supervisor.kernel.own_ids import is_rootless
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.auto_ids import Pool, Range, free_range, pool_of


class IdRanges:
    """One for each daemon. What is chosen and not yet committed is known here alone."""

    def __init__(self, read: Callable[[], Connection], settings: Settings) -> None:
        """``read``: gives a connection to the store, for reading."""
        self._read = read
        self._setting = settings.userns_pool
        self._pending: dict[str, Range] = {}

    def reserve(self, container_id: str, size: int) -> Range:
        """Choose a range, which nobody else is given until forget(). Raises Conflict: none is free."""
        pool = self._pool()
        found = free_range(pool.ranges, self._used(pool), size)
        if found is None:
            raise Conflict(
                f"cannot create container: no {size} ids in a row are free for it in {pool.source}"
            )
        self._pending[container_id] = found
        return found

    def _pool(self) -> Pool:
        if is_rootless() and not self._setting:
            return nested_ids.pool()
        return pool_of(self._setting, _read("/etc/subuid"), _read("/etc/subgid"))

    def forget(self, container_id: str) -> None:
        """The container's row is there and tells, or will never be."""
        self._pending.pop(container_id, None)

    def _used(self, pool: Pool) -> list[Range]:
        conn = self._read()
        theirs = [Range(one.start, one.size) for one in id_ranges.list_ranges(conn)]
        given = [Range(*one) for one in id_ranges.explicit(conn)]
        return [*pool.taken, *theirs, *given, *self._pending.values()]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
