"""What is removed goes out of sight at once, and is unlinked later: nobody waits for a big write layer to go.

``ROOT/trash`` is on the file system of what is thrown into it, so throwing is a rename(2). What a crash left there
goes with the next start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from functools import partial

import trio

from pysup.supervisor.runtime import trees

log = logging.getLogger(__name__)

GATHER = 0.1
"""Seconds between two lots: what comes and goes quickly is unlinked together, what goes alone at once."""


class Trash:
    """One for each daemon; ``keep_empty`` runs as long as the engine does."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._filled = trio.Event()

    def throw(self, *paths: str) -> None:
        """Take files and directories out of sight; those that are not there need nothing. Raises OSError."""
        self.hide(*paths)
        self.unlink()

    def hide(self, *paths: str) -> None:
        """Like throw(), from any thread: somebody calls unlink() afterwards."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, os.path.join(self._directory, secrets.token_hex(8)))

    def unlink(self) -> None:
        """Begin to unlink what was hidden; nobody waits for it."""
        self._filled.set()

    async def keep_empty(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Unlink what is thrown, in one thread, in lots. ``started()``: there is a directory to throw into."""
        await trio.to_thread.run_sync(partial(os.makedirs, self._directory, 0o700, exist_ok=True))
        task_status.started()
        while True:
            self._filled = trio.Event()
            await trio.to_thread.run_sync(_unlink_all, self._directory, abandon_on_cancel=True)
            await trio.sleep(GATHER)
            await self._filled.wait()


def _unlink_all(directory: str) -> None:
    """What cannot be unlinked now is tried again with the next lot."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                trees.remove(path)
            else:
                os.unlink(path)
        except OSError as error:
            log.error("cannot remove %s: %s", path, error.strerror)
