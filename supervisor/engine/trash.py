"""What is removed goes out of sight at once, and is unlinked later: nobody waits for a big write layer to go.

Throwing is a rename(2) into ``ROOT/trash``. Where somebody has put images, volumes or containers on a disk of their
own, what is thrown stays there, as ``.trash-…`` beside its place. What a crash left goes with the next start.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
from collections import deque
from functools import partial

import trio

from pysup.supervisor.engine import usual_leavings
from pysup.supervisor.runtime import trees

log = logging.getLogger(__name__)

_BESIDE = ".trash-"
"""How that begins which stays on its own file system."""
_CONTAINER = "container-"
"""How that begins which nobody but the daemon has made directories in, with names that are known."""
GATHER = 0.1
"""Seconds between two lots: what comes and goes quickly is unlinked together, what goes alone at once."""


class Trash:
    """One for each daemon; ``keep_empty`` runs as long as the engine does."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._filled = trio.Event()
        self._elsewhere: deque[str] = deque()
        """What is hidden on other file systems."""

    def throw(self, *paths: str) -> None:
        """Take files and directories out of sight; those that are not there need nothing. Raises OSError."""
        self.hide(*paths)
        self.unlink()

    def throw_container(self, path: str) -> None:
        """Like throw(), for the whole directory of a container: most have written nothing. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            self._hide(path, _CONTAINER)
        self.unlink()

    def hide(self, *paths: str) -> None:
        """Like throw(), from any thread: somebody calls unlink() afterwards."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                self._hide(path)

    def _hide(self, path: str, kind: str = "") -> None:
        name = kind + secrets.token_hex(8)
        try:
            return os.rename(path, os.path.join(self._directory, name))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        beside = os.path.join(os.path.dirname(path), _BESIDE + name)
        os.rename(path, beside)
        self._elsewhere.append(beside)
        return None

    def throw_leftovers(self, directory: str) -> None:
        """What a crash left of throwing away what was in a directory on another file system. Raises OSError."""
        self.throw(*(entry.path for entry in os.scandir(directory) if entry.name.startswith(_BESIDE)))

    def unlink(self) -> None:
        """Begin to unlink what was hidden; nobody waits for it."""
        self._filled.set()

    async def keep_empty(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Unlink what is thrown, in one thread, in lots. ``started()``: there is a directory to throw into."""
        await trio.to_thread.run_sync(partial(os.makedirs, self._directory, 0o700, exist_ok=True))
        task_status.started()
        while True:
            self._filled = trio.Event()
            await trio.to_thread.run_sync(self._unlink_all, abandon_on_cancel=True)
            await trio.sleep(GATHER)
            await self._filled.wait()

    def _unlink_all(self) -> None:
        """What cannot be unlinked now is tried again with the next lot, or by the next start."""
        for name in os.listdir(self._directory):
            path = os.path.join(self._directory, name)
            if not (name.startswith(_CONTAINER) and usual_leavings.remove(path)):
                _unlink(path)
        while self._elsewhere:
            _unlink(self._elsewhere.popleft())


def _unlink(path: str) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            trees.remove(path)
        else:
            os.unlink(path)
    except OSError as error:
        log.error("cannot remove %s: %s", path, error.strerror)
