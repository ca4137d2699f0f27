"""Ask the keeper for a child, and tell the child what to do, at once or side by side.

The keeper takes a child that was made ahead while the plan is still being made: either takes as long as the other. The
child waits for its plan on the init socket; if its engine dies before, it leaves.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import trio

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.client.link import KeeperLost, Link, Process, SpawnError
from pysup.supervisor.keeper.protocol import CGROUP, MAX_FDS, PLAN, Spawn
from pysup.supervisor.keeper.steps import Step
from pysup.supervisor.kernel import files
from pysup.supervisor.runtime.plan import Stage


@dataclass(frozen=True, slots=True)
class StdioPlan:
    """What a process gets as 0, 1 and 2: a terminal of its own, or pipes (and /dev/null for an absent
    stdin).
    """

    tty: bool = False
    open_stdin: bool = False


@dataclass(slots=True)
class _Ends:
    """Descriptors of a start: the child's, which are closed once it has them, and those to hold."""

    child: dict[str, int] = field(default_factory=dict)
    hold: dict[str, int] = field(default_factory=dict)

    def pipe(self, child: str, ours: str, *, to_child: bool = False) -> None:
        """Make a pipe between the child's stream and a held end."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self.child[child], self.hold[ours] = (reader, writer) if to_child else (writer, reader)

    def make_stdio(self, stdio: StdioPlan) -> None:
        """A terminal is made by the child in its own devpts; only the relay pipe is made here."""
        if stdio.tty:
            self.hold["relay_r"], self.hold["relay_w"] = os.pipe2(os.O_CLOEXEC)
            return
        self.pipe("stdout", "stdout")
        self.pipe("stderr", "stderr")
        if stdio.open_stdin:
            self.pipe("stdin", "stdin", to_child=True)

    def close_child(self) -> None:
        """Close what only the child needs."""
        while self.child:
            os.close(self.child.popitem()[1])

    def close(self) -> None:
        """Close everything: there is no process that could use it."""
        self.close_child()
        while self.hold:
            os.close(self.hold.popitem()[1])


def comes_ahead(link: Link, stage: Stage | None, cgroup_fd: int | None) -> bool:
    """Whether the keeper knows this stage: what a child does there is not part of its plan then."""
    return stage is not None and link.ordered(stage.key) and cgroup_fd is None


@contextmanager
def plan_file(steps: Sequence[Step], outside: Sequence[Step] = ()) -> Iterator[int]:
    """A descriptor of the plan's document, for as long as the block lasts."""
    document = json.dumps({"outside": list(outside), "steps": list(steps)}).encode()
    fd = files.memory_file("pysup-plan", document)
    try:
        yield fd
    finally:
        os.close(fd)


@asynccontextmanager
async def asking(
    link: Link,
    *,
    what: str,
    key: str,
    flags: int,
    stdio: StdioPlan,
    given: Mapping[str, int] = MappingProxyType({}),
    cgroup_fd: int | None = None,
    uid_map: str = "",
    gid_map: str = "",
    target: int | None = None,
    user: int | None = None,
    stage: Stage | None = None,
) -> AsyncIterator[Asked]:
    """Ask for a child; in the block it is given its plan, unless ``given`` has it, and taken over. See launch().

    Where the block ends by an error, or is cancelled, nothing is left of the child. Raises StartFailed.
    """
    ends = _Ends()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        ends.child["init"] = theirs.detach()
        ends.make_stdio(stdio)
        needed = {CGROUP: cgroup_fd, "target": target, "user": user}
        given = {**ends.child, **given, **{name: fd for name, fd in needed.items() if fd is not None}}
        _check_count(what, len(given) + len(ends.hold))
        ahead = comes_ahead(link, stage, cgroup_fd)
        message = Spawn(
            key,
            flags,
            list(given),
            list(ends.hold),
            uid_map,
            gid_map,
            target is not None,
            stage.key if stage is not None and ahead else "",
            user is not None,
        )
        await link.spawn(message, given, ends.hold)
    except BaseException:
        ours.close()
        ends.close()
        raise
    ends.close_child()
    asked = Asked(link, what, key, ours, ends, () if stage is None or ahead else stage.steps)
    try:
        yield asked
    except BaseException:
        await asked.abort()
        raise


class Asked:
    """A child that was asked for. First give(), if it has no plan yet, then made()."""

    def __init__(  # noqa: PLR0917
        self, link: Link, what: str, key: str, init: socket.socket, ends: _Ends, first: tuple[Step, ...]
    ) -> None:
        self.init = init
        """The socket on which the child is told what to do, and tells what came of it: the caller's after made()."""
        self.what = what
        """Its name in errors; a container that is being made may have got its own since."""
        self._link = link
        self._key = key
        self._ends = ends
        self._first = first
        self._made = False

    async def give(self, plan: list[Step], attach: Mapping[str, int]) -> None:
        """Tell the child what to do. ``attach``: descriptors that steps name; they stay the caller's.

        Where the kernel has no room for the packet now, this waits, as the link does for the keeper. A child that has
        ended already, by a step of its stage, says why itself. Raises StartFailed.
        """
        with plan_file([*self._first, *plan]) as document:
            given = {PLAN: document, **attach}
            _check_count(self.what, len(given))
            packet = json.dumps(list(given)).encode()
            while not self._try_give(packet, list(given.values())):
                await trio.lowlevel.wait_writable(self.init)

    def _try_give(self, packet: bytes, fds: list[int]) -> bool:
        """False if there is no room now."""
        try:
            codec.send_packet(self.init, packet, fds)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            return True
        return True

    async def made(self) -> Process:
        """The child, once the keeper has it. Raises StartFailed."""
        self._made = True
        try:
            return await self._link.spawned(self._key, self._ends.hold)
        except SpawnError as error:
            self.init.close()
            self._ends.close()
            raise StartFailed(self.what, error.step, error.number, error.detail) from error

    async def abort(self) -> None:
        """Kill and reap the child, if there is one, and close everything."""
        if self._made:
            return
        with trio.CancelScope(shield=True), contextlib.suppress(StartFailed):
            process = await self.made()
            await end(self._link, process, self.init)


def _check_count(what: str, count: int) -> None:
    """A packet has room for so many descriptors."""
    if count > MAX_FDS:
        raise StartFailed(
            what, "attach layers and volumes", 0, f"it has {count} descriptors, more than {MAX_FDS}"
        )


async def end(link: Link, process: Process, init: socket.socket) -> None:
    """Kill and reap a process whose start has failed, and close what was its."""
    with trio.CancelScope(shield=True):
        init.close()
        process.kill()
        with contextlib.suppress(KeeperLost):
            await process.wait()
        await link.reap(process.key)
