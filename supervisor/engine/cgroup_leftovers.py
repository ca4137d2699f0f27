"""The cgroups that a crash has left. Daemons of other roots may have the same parent: theirs are no leftovers.

Each daemon has the parent's directory locked, together with all others, for as long as its keeper or its engine lives.
Who can lock it alone knows that every other cgroup in it is nobody's.
"""

from __future__ import annotations

import fcntl
import logging
import signal
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import trio

from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import PysupError

log = logging.getLogger(__name__)

LOCK = "daemon/cgroups"
"""The keeper's entry that holds the lock over the deaths of engines."""


async def remove_cgroup_leftovers(parts: Parts, known: Iterable[str], alive: AbstractSet[str]) -> None:
    """Kill and remove the cgroups of containers that do not run; beside other daemons only those that are known."""
    await _lock(parts)
    # They are listed first: whoever shares the parent from now on makes cgroups that are not among these.
    found = set(parts.hierarchy.leftovers(parts.settings.cgroup_root)) - alive
    if found and not _is_alone(parts):
        found &= set(known)
    await _remove_all(parts, parts.settings.cgroup_root, found)


async def remove_of_earlier_daemons(parts: Parts, parents: Iterable[str], known: AbstractSet[str]) -> None:
    """The same for a daemon whose containers were elsewhere (--cgroup-root): there, only what is known is its own.

    No container of a new daemon is there yet, so all that are known go, whatever their rows say.
    """
    for parent in parents:
        if parent != parts.settings.cgroup_root:
            await _remove_all(parts, parent, known & set(parts.hierarchy.leftovers(parent)))
            parts.hierarchy.release(parent)


async def _remove_all(parts: Parts, parent: str, names: Iterable[str]) -> None:
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(_remove, parts, parent, name)


async def _remove(parts: Parts, parent: str, name: str) -> None:
    """One in which there is a process that the kernel cannot end now stays for the next start."""
    cgroup = parts.hierarchy.open(parent, name)
    try:
        await cgroup.kill(signal.SIGKILL)
        await cgroup.remove()
    except (OSError, PysupError) as error:
        log.warning("cannot remove what is left of container %s: %s", name[:12], error)


async def _lock(parts: Parts) -> None:
    """Take part in the lock, unless an earlier engine of this daemon does."""
    if "lock" in parts.link.held(LOCK):
        return
    fd = parts.hierarchy.open_parent(parts.settings.cgroup_root)
    if fd is not None:
        fcntl.flock(fd, fcntl.LOCK_SH)
        await parts.link.hold(LOCK, {"lock": fd})


def _is_alone(parts: Parts) -> bool:
    """Whether no other daemon takes part in the lock. It is kept for all afterwards (flock(2), converting)."""
    fd = parts.link.held(LOCK).get("lock")
    if fd is None:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        fcntl.flock(fd, fcntl.LOCK_SH)
    return True
