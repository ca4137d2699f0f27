"""Namespaces that outlive a run: held by the daemon, so whoever shares them keeps them across a restart."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from pysup.supervisor.keeper.client.link import Link, Process
from pysup.supervisor.keeper.codec import close_all


def key_of(container_id: str) -> str:
    """The keeper's entry that holds a container's namespaces."""
    return f"ns/{container_id}"


def run_key(container_id: str, number: int) -> str:
    """The keeper's entry of a run."""
    return f"run/{container_id}/{number}"


class HeldNamespaces:
    """The first run makes them by clone3, later runs join them; they go when the container comes to rest."""

    def __init__(self, link: Link, container_id: str) -> None:
        self._link = link
        self._key = key_of(container_id)

    @property
    def fds(self) -> Mapping[str, int]:
        """Descriptors by the namespace's name; empty before the first run."""
        return self._link.held(self._key)

    async def add(self, fds: dict[str, int]) -> None:
        """Hold these, too; they are the link's from now on."""
        await self._link.hold(self._key, fds)

    async def hold(self, process: Process, names: Iterable[str]) -> None:
        """Take them from a process that is set up but not yet told to go: it cannot end meanwhile."""
        taken: dict[str, int] = {}
        try:
            for name in names:
                taken[name] = os.open(f"/proc/{process.pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            close_all([*taken.values()])
            raise
        if taken:
            await self._link.hold(self._key, taken)

    async def release(self) -> None:
        """Let them go; nothing happens if none are held."""
        names = list(self.fds)
        if names:
            await self._link.release(self._key, names)
