"""What an engine has of the keeper's entries: enough to take the place of a keeper that was killed. trio.

Nothing is said to the keeper here (link.py does that), so nothing is waited for.
"""

from __future__ import annotations

import os

import trio

from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.client.processes import Entry, Process
from pysup.supervisor.keeper.protocol import Exited, Held


class Holdings:
    """One for each link."""

    def __init__(self) -> None:
        self._found: dict[str, Entry] = {}
        """What the keeper has and nobody has adopted yet."""
        self._processes: dict[str, Process] = {}
        self._held: dict[str, dict[str, int]] = {}
        self._early_ends: dict[str, int] = {}

    # -- what the keeper tells -------------------------------------------------------------------------------

    def note_held(self, message: Held, fds: list[int]) -> None:
        """Of what is here already, the new duplicates are not needed."""
        if message.key in {*self._processes, *self._held, *self._found}:
            codec.close_all(fds)
            return
        pidfd = fds.pop(0) if message.pid else -1
        named = dict(zip(message.names, fds, strict=True))
        self._found[message.key] = Entry(message.key, message.pid, pidfd, message.status, named)

    def note_exit(self, message: Exited) -> None:
        """An end may be told after the keeper's answer to List and before adopt(): it is kept for that."""
        ended = self._processes.get(message.key)
        if ended is None:
            self._early_ends[message.key] = message.status
        else:
            ended.note_end(message.status)

    def note_silence(self) -> None:
        """No end will be told any more."""
        for unknown in self._processes.values():
            unknown.note_end(unknown.status)

    # -- what this engine does -------------------------------------------------------------------------------

    def add(self, key: str, pid: int, pidfd: int) -> Process:
        """A process that is the keeper's child now."""
        added = Process(key, pid, pidfd)
        added.fds = self._held.setdefault(key, {})
        self._processes[key] = added
        return added

    def adopt(self, entry: Entry) -> Process:
        """Have an entry with a process, and its descriptors."""
        self._found.pop(entry.key, None)
        adopted = self.add(entry.key, entry.pid, entry.pidfd)
        adopted.fds.update(entry.fds)
        status = self._early_ends.pop(entry.key, entry.status)
        if status is not None:
            adopted.note_end(status)
        return adopted

    def adopt_held(self, entry: Entry) -> dict[str, int]:
        """Have an entry without a process: its descriptors by name."""
        self._found.pop(entry.key, None)
        held = self._held.setdefault(entry.key, {})
        held.update(entry.fds)
        return held

    def hold(self, key: str, named: dict[str, int]) -> None:
        """Have descriptors; one that is replaced is closed."""
        ours = self._held.setdefault(key, {})
        for name, fd in named.items():
            _close(ours, name)
            ours[name] = fd

    def release(self, key: str, names: list[str]) -> None:
        """Close descriptors; an entry with nothing left is forgotten."""
        ours = self._held.get(key, {})
        for name in names:
            _close(ours, name)
        if not ours and key not in self._processes:
            self._held.pop(key, None)

    def forget(self, key: str) -> None:
        """Close all that there is of an entry."""
        gone = self._processes.pop(key, None)
        self._early_ends.pop(key, None)
        ours = self._held.pop(key, {})
        for name in list(ours):
            _close(ours, name)
        if gone is not None:
            os.close(gone.pidfd)

    # -- what there is ---------------------------------------------------------------------------------------

    def held(self, key: str) -> dict[str, int]:
        """The descriptors that are held under a key, by name."""
        return self._held.get(key, {})

    def held_below(self, beginning: str) -> list[str]:
        """The keys that begin so, of what is held."""
        return [key for key in self._held if key.startswith(beginning)]

    def known(self) -> list[Entry]:
        """All entries."""
        return [self.entry(key) for key in dict.fromkeys([*self._found, *self._processes, *self._held])]

    def entry(self, key: str) -> Entry:
        """One of them."""
        if key in self._found:
            found = self._found[key]
            return found._replace(status=self._early_ends.get(key, found.status))
        known, held = self._processes.get(key), self._held.get(key, {})
        if known is None:
            return Entry(key, 0, -1, None, held)
        return Entry(key, known.pid, known.pidfd, known.status, held)


def _close(named: dict[str, int], name: str) -> None:
    fd = named.pop(name, None)
    if fd is not None:
        trio.lowlevel.notify_closing(fd)
        os.close(fd)
