"""Who waits for what a container comes to: a start, an end, its removal. Each is answered once, when that is known."""

from __future__ import annotations

from typing import TypeVar

from pysup.supervisor.engine.containers.commands import Remove, Reply, Stop
from pysup.supervisor.engine.containers.states import ALIVE, State
from pysup.supervisor.errors import Conflict, Unavailable

T = TypeVar("T")


class Answers:
    """Those that are still owed."""

    def __init__(self) -> None:
        self.starters: list[Reply] = []
        self.stoppers: list[Reply] = []
        self.leavers: list[Reply] = []
        """Stoppers for the daemon's end, which does not wait for what cannot be killed."""
        self.removers: list[Remove] = []

    def await_end(self, command: Stop) -> None:
        """Somebody has stopped it."""
        waiting = self.leavers if command.ended_by == "shutdown" else self.stoppers
        waiting.append(command.reply)

    def started(self) -> None:
        """The program runs."""
        for reply in taken(self.starters):
            reply.settle()

    def ended(self, name: str, state: State) -> None:
        """The run is over, and what follows has begun, or not.

        A restart waits for the next run; where there is none after all (a removal came between), it has failed.
        """
        for reply in (*taken(self.stoppers), *taken(self.leavers)):
            reply.settle()
        if state not in ALIVE:
            cause = "it was removed" if state is State.REMOVED else "it ended"
            for reply in taken(self.starters):
                reply.fail(Conflict(f"cannot start container {name}: {cause} meanwhile"))

    def not_ended(self, name: str) -> None:
        """Not even by force: the daemon's end goes on without it."""
        for reply in taken(self.leavers):
            reply.fail(
                Unavailable(
                    f"cannot stop container {name}: not even SIGKILL ends all its processes; "
                    "the next daemon will find what is left of it"
                )
            )

    def removed(self) -> None:
        """Nothing is left of it."""
        for command in taken(self.removers):
            command.reply.settle()
        for reply in taken(self.stoppers):
            reply.settle()

    def not_removed(self, error: Exception) -> None:
        """It stays as it was."""
        for command in taken(self.removers):
            command.reply.fail(error)


def taken(waiting: list[T]) -> list[T]:
    """All that wait, which wait no longer."""
    found = list(waiting)
    waiting.clear()
    return found
