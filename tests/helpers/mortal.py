"""A daemon whose processes are killed: who is its keeper, who its engine, and whether it serves again."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable

from helpers.daemon import ENDS_WITHIN, Daemon, children, is_engine

from pysup.supervisor.errors import Unavailable

WITHIN = 60.0
_LOOK = 0.02


def until(condition: Callable[[], bool], what: str) -> None:
    """Look until it holds."""
    end = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < end, f"not within {WITHIN} s: {what}"
        select.select([], [], [], _LOOK)


class Mortal(Daemon):
    """Whoever holds the lock is the keeper, also after an engine has taken its place."""

    _before: int | None = None
    """The engine before the last kill."""

    @property
    def keeper(self) -> int:
        """The pid in the lock file."""
        return int((self.root / "pysup.lock").read_text())

    @property
    def engine(self) -> int | None:
        """The engine that runs now, if one does."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return next(filter(is_engine, children(self.keeper)), None)
        return None

    def kill(self, *who: str) -> None:
        """SIGKILL for the ``engine``, the ``keeper``, or both at once."""
        self._before = self.engine
        pids = [self.keeper if name == "keeper" else self.engine for name in who]
        for pid in pids:
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def upgrade(self) -> None:
        """Have both executed anew."""
        self._before = self.engine
        os.kill(self.keeper, signal.SIGUSR2)

    def serves(self) -> bool:
        """Whether it answers."""
        with contextlib.closing(self.client()) as client, contextlib.suppress(Unavailable):
            return client.get("/version") is not None
        return False

    def wait_until_it_serves(self) -> None:
        """After a death that somebody survived: an engine may answer a moment longer than its keeper lives."""
        until(
            lambda: self.engine not in {None, self._before} and self.serves(), "an answer of the next engine"
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, whoever is the keeper now. A keeper that is not our child tells no exit code: 0 stands for it."""
        keeper = self.keeper
        if self._process is not None and self._process.pid == keeper:
            return super().stop(number)
        self.bury()
        pidfd = os.pidfd_open(keeper)
        try:
            signal.pidfd_send_signal(pidfd, number)
            assert select.select([pidfd], [], [], ENDS_WITHIN)[0], "the daemon did not end"
        finally:
            os.close(pidfd)
        return 0

    def bury(self) -> None:
        """Reap the first keeper, which was killed."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(WITHIN)
