"""Start a process: spawn it at the keeper, follow its set-up over the init socket, let it go or take it away.

A start has two phases, so that the engine can commit a row while the child waits: launch() and ready(),
then go(). Whatever fails or is cancelled in between, abort() (or the failing call itself) leaves no process
and no descriptor.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.link import KeeperLost, Link, Process, SpawnError
from pysup.supervisor.keeper.protocol import CGROUP, MAX_FDS, Spawn
from pysup.supervisor.keeper.steps import Step
from pysup.supervisor.kernel import files
from pysup.supervisor.runtime.plan import Stage

MAX_REPORT = 64 << 10
GO = b"go"
STDOUT, STDERR = 1, 2

Relay = tuple[int, int]
"""(read end, write end) of the pipe that a terminal's output passes through: splice(2) has no tty -> file."""


@dataclass(frozen=True, slots=True)
class StdioPlan:
    """What a process gets as 0, 1 and 2: a terminal of its own, or pipes (and /dev/null for an absent
    stdin).
    """

    tty: bool = False
    open_stdin: bool = False


@dataclass(frozen=True, slots=True)
class Stdio:
    """The engine's ends, by number; the link owns and closes them (Link.release, Link.reap).

    With a terminal: ``master``, and the relay pipe through which its output is spliced to the log. Without:
    ``stdout``, ``stderr`` and, if it was asked for, ``stdin``.
    """

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    master: int | None = None
    relay_r: int | None = None
    relay_w: int | None = None

    @classmethod
    def of(cls, fds: dict[str, int]) -> Stdio:
        """Find them among the descriptors that are held for a process (also after an engine's restart)."""
        return cls(**{name: fds.get(name) for name in cls.__slots__})

    @property
    def writable(self) -> int | None:
        """Where the process's input is written to; None if it has none."""
        return self.stdin if self.master is None else self.master

    def outputs(self) -> Iterator[tuple[int, int, Relay | None]]:
        """(descriptor, stream 1 or 2, relay pipe) of each output; a terminal's is stdout."""
        if self.master is not None and self.relay_r is not None and self.relay_w is not None:
            yield self.master, STDOUT, (self.relay_r, self.relay_w)
        for fd, stream in ((self.stdout, STDOUT), (self.stderr, STDERR)):
            if fd is not None:
                yield fd, stream, None


@dataclass(slots=True)
class _Ends:
    """Descriptors of a start: the child's, which are closed once it has them, and those to hold."""

    child: dict[str, int] = field(default_factory=dict)
    hold: dict[str, int] = field(default_factory=dict)

    def pipe(self, child: str, ours: str, *, to_child: bool = False) -> None:
        """Make a pipe between the child's stream and a held end."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self.child[child], self.hold[ours] = (reader, writer) if to_child else (writer, reader)

    def close_child(self) -> None:
        """Close what only the child needs."""
        while self.child:
            os.close(self.child.popitem()[1])

    def close(self) -> None:
        """Close everything: there is no process that could use it."""
        self.close_child()
        while self.hold:
            os.close(self.hold.popitem()[1])


async def launch(
    link: Link,
    *,
    what: str,
    key: str,
    flags: int,
    plan: list[Step],
    stdio: StdioPlan,
    attach: dict[str, int] | None = None,
    cgroup_fd: int | None = None,
    uid_map: str = "",
    gid_map: str = "",
    target: int | None = None,
    user: int | None = None,
    stage: Stage | None = None,
    outside: Sequence[Step] = (),
) -> Launched:
    """Clone a child that works through the plan. ``what`` names it in errors: "container web".

    ``attach``: more descriptors that steps name (they stay the caller's); ``cgroup_fd``: a v2 cgroup to begin
    in; ``stage``: what comes before the plan, and may be done already; ``target``: a pidfd whose pid namespace
    the child enters (also a descriptor of that name for "setns"); ``user``: a user namespace to be born in;
    ``outside``: steps for who makes the child there, before he enters it.
    Raises StartFailed. The result is to be led to its end: go(), or abort().
    """
    ends = _Ends()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    key_of_stage = ""
    if stage is not None and link.ordered(stage.key) and cgroup_fd is None:
        key_of_stage = stage.key
    elif stage is not None:
        plan = [*stage.steps, *plan]
    try:
        ends.child["init"] = theirs.detach()
        ends.child["plan"] = files.memory_file(
            "pysup-plan", json.dumps({"outside": list(outside), "steps": plan}).encode()
        )
        _make_stdio(ends, stdio)
        borrowed = dict(attach or {})
        if cgroup_fd is not None:
            borrowed[CGROUP] = cgroup_fd
        if target is not None:
            borrowed["target"] = target
        if user is not None:
            borrowed["user"] = user
        _check_count(what, len(ends.child) + len(borrowed) + len(ends.hold))
        message = Spawn(
            key,
            flags,
            [*ends.child, *borrowed],
            list(ends.hold),
            uid_map,
            gid_map,
            target is not None,
            key_of_stage,
            user is not None,
        )
        process = await link.spawn(message, {**ends.child, **borrowed}, ends.hold)
    except SpawnError as error:
        ours.close()
        ends.close()
        raise StartFailed(what, error.step, error.number, error.detail) from error
    except BaseException:
        ours.close()
        ends.close()
        raise
    ends.close_child()
    return Launched(link, what, process, ours, tty=stdio.tty)


def _check_count(what: str, count: int) -> None:
    """A packet has room for so many descriptors."""
    if count > MAX_FDS:
        raise StartFailed(
            what, "attach layers and volumes", 0, f"it has {count} descriptors, more than {MAX_FDS}"
        )


def _make_stdio(ends: _Ends, stdio: StdioPlan) -> None:
    """A terminal is made by the child in its own devpts; only the relay pipe is made here."""
    if stdio.tty:
        ends.hold["relay_r"], ends.hold["relay_w"] = os.pipe2(os.O_CLOEXEC)
        return
    ends.pipe("stdout", "stdout")
    ends.pipe("stderr", "stderr")
    if stdio.open_stdin:
        ends.pipe("stdin", "stdin", to_child=True)


class Launched:
    """A process between its clone and its program's first instruction."""

    def __init__(self, link: Link, what: str, process: Process, init: socket.socket, *, tty: bool) -> None:
        self.process = process
        self._link = link
        self._what = what
        self._init = init
        self._tty = tty
        self._kept: dict[str, int] = {}
        self._ready = False
        self._aborted = False

    @property
    def stdio(self) -> Stdio:
        """The engine's ends; with a terminal ``master`` is there after ready()."""
        return Stdio.of(self.process.fds)

    async def ready(self) -> None:
        """Wait until every step before the exec is done. Raises StartFailed, and leaves nothing then."""
        try:
            await self._until_ready()
        except BaseException:
            await self.abort()
            raise

    def give_kept(self) -> dict[str, int]:
        """After ready(): descriptors of mounts for the next run (keeper/steps_kept.py), the caller's from now on."""
        given, self._kept = self._kept, {}
        return given

    async def go(self) -> None:
        """Let it execute its program, and wait until it has. Raises StartFailed, and leaves nothing then."""
        try:
            if not self._ready:
                await self._until_ready()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._init.send(GO, socket.MSG_NOSIGNAL)
            await self._until_executed()
        except BaseException:
            await self.abort()
            raise
        self._init.close()

    async def abort(self) -> None:
        """Kill and reap the process, and close everything; a second call does nothing.

        After a go() that worked, the process is used instead.
        """
        if self._aborted:
            return
        self._aborted = True
        codec.close_all(
            list(self.give_kept().values())
        )  # the process has the mounts, too: nothing is waited for
        with trio.CancelScope(shield=True):
            self._init.close()
            self.process.kill()
            with contextlib.suppress(KeeperLost):
                await self.process.wait()
            await self._link.reap(self.process.key)

    async def _until_ready(self) -> None:
        while not self._ready:
            report = await self._receive()
            if report is None:
                raise StartFailed(self._what, "set up", 0, await self._how_it_ended())
            self._ready = report.get("ready") is True

    async def _until_executed(self) -> None:
        """The init socket is close-on-exec: its end is the new program's beginning."""
        while await self._receive() is not None:
            pass

    async def _how_it_ended(self) -> str:
        """A child that is gone without a word was killed."""
        status = await self.process.wait()
        number = os.waitstatus_to_exitcode(status)
        return f"killed by signal {-number}" if number < 0 else f"ended with exit code {number}"

    async def _receive(self) -> dict[str, Any] | None:
        """One report, None at the end. Raises StartFailed if it tells of a failure."""
        packet, fds = await self._packet()
        if not packet:
            return None
        report: dict[str, Any] = json.loads(packet)
        if "kept" in report:
            self._kept = dict(zip(report["kept"], fds, strict=True))
        elif fds:
            await self._link.hold(self.process.key, {"master": fds[0]})
        if "failed" in report:
            raise StartFailed(self._what, report["failed"], report["errno"], report["detail"])
        return report

    async def _packet(self) -> tuple[bytes, list[int]]:
        while True:
            try:
                packet, fds, _flags = codec.receive_packet(self._init, MAX_REPORT, MAX_FDS)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._init)
            except ConnectionResetError:
                return b"", []
            else:
                return packet, fds
