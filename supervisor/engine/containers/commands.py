"""What a container's task finds in its inbox: commands, each with a reply, and news of its own run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import trio

from pysup.store.networks import Network
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.health import Probe
from pysup.supervisor.engine.containers.record import Change
from pysup.supervisor.errors import PysupError
from pysup.supervisor.spec.joining import Joining


class Reply:
    """The answer to one command: settled once by the container's task, awaited by the one who asked."""

    def __init__(self) -> None:
        self._settled = trio.Event()
        self._value: Any = None
        self._error: Exception | None = None

    def settle(self, value: object = None) -> None:
        """Answer with a value; the first answer stands."""
        if not self._settled.is_set():
            self._value = value
            self._settled.set()

    def fail(self, error: Exception) -> None:
        """Answer with an error, raised where the command was given."""
        if not self._settled.is_set():
            self._error = error
            self._settled.set()

    async def succeeded(self) -> bool:
        """Wait for the answer; whether it is a value."""
        await self._settled.wait()
        return self._error is None

    async def get(self) -> Any:  # noqa: ANN401 - each command documents its own value
        """Wait for the answer."""
        await self._settled.wait()
        if self._error is not None:
            raise self._error
        return self._value


@dataclass(frozen=True, slots=True)
class Command:
    """The base: who asks, and where the answer goes."""

    caller: Caller
    reply: Reply = field(default_factory=Reply, kw_only=True)


@dataclass(frozen=True, slots=True)
class Start(Command):
    """Start a run; answered when the process runs, or with StartFailed."""

    cause: str = "manual"
    creation: Change | None = None
    """For a container that is not in the store yet: its creation, committed with the start."""
    run: int | None = None
    """The run that another one is to follow: where one has, there is nothing to do (the question comes again)."""
    is_restart: bool = False
    """Of what did not run."""


@dataclass(frozen=True, slots=True)
class Stop(Command):
    """Stop signal, then SIGKILL after the timeout (None: the container's own); answered when it has ended."""

    signal: int | None = None
    timeout: float | None = None
    ended_by: str = "stop"


@dataclass(frozen=True, slots=True)
class Restart(Stop):
    """Stop if it runs, then start; answered when the new process runs."""

    ended_by: str = "restart"
    run: int | None = None
    """As of Start."""


@dataclass(frozen=True, slots=True)
class Kill(Command):
    """Send a signal to the container's first process; SIGKILL is answered when it has ended."""

    signal: int = 9


@dataclass(frozen=True, slots=True)
class Pause(Command):
    """Freeze the cgroup."""


@dataclass(frozen=True, slots=True)
class Unpause(Command):
    """Thaw the cgroup."""


@dataclass(frozen=True, slots=True)
class Hold(Command):
    """Have its processes stand still until Release, without a change of state; answered when they do."""


@dataclass(frozen=True, slots=True)
class Release(Command):
    """Let them go on, once nobody holds them any more."""


@dataclass(frozen=True, slots=True)
class Remove(Command):
    """Remove the container; ``force`` kills it first, ``volumes`` takes its anonymous volumes along."""

    force: bool = False
    volumes: bool = False


@dataclass(frozen=True, slots=True)
class Rename(Command):
    """Give it another name."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Update(Command):
    """Put a new host_config in force, as far as it can be changed live."""

    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connect(Command):
    """Put it on a further network, at once if it runs."""

    joining: Joining


@dataclass(frozen=True, slots=True)
class Disconnect(Command):
    """Take it off a network, at once if it runs."""

    network: Network


@dataclass(frozen=True, slots=True)
class Unlink(Command):
    """Have it forget the name by which it knows another container (--link)."""

    alias: str


@dataclass(frozen=True, slots=True)
class Ready:
    """News: the run's process has been executed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """News: the run could not be started; all that it had acquired is freed."""

    error: PysupError


@dataclass(frozen=True, slots=True)
class Exited:
    """News: the run's process has ended and its output is all in the log."""

    status: int | None
    """As from waitpid(2); None if it was lost."""
    oom_killed: bool
    cpu_ns: int
    memory_peak: int


@dataclass(frozen=True, slots=True)
class Due:
    """News: the time that the container's task was waiting for has come."""


@dataclass(frozen=True, slots=True)
class Probed:
    """News: somebody has looked whether the container is well."""

    probe: Probe


News = Ready | Failed | Exited | Due | Probed
