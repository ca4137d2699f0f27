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
from dataclasses import dataclass
from typing import Any

import trio

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.client.link import Link, Process
from pysup.supervisor.keeper.protocol import MAX_FDS, PLAN
from pysup.supervisor.keeper.steps import Step
from pysup.supervisor.runtime.asking import StdioPlan, asking, comes_ahead, end, plan_file
from pysup.supervisor.runtime.plan import Stage

MAX_REPORT = 64 << 10
GO = b"go"
STDOUT, STDERR = 1, 2

__all__ = ["Launched", "Stdio", "StdioPlan", "launch"]

Relay = tuple[int, int]
"""(read end, write end) of the pipe that a terminal's output passes through: splice(2) has no tty -> file."""


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
    steps = plan if stage is None or comes_ahead(link, stage, cgroup_fd) else [*stage.steps, *plan]
    with plan_file(steps, outside) as document:
        async with asking(
            link,
            what=what,
            key=key,
            flags=flags,
            stdio=stdio,
            given={PLAN: document, **(attach or {})},
            cgroup_fd=cgroup_fd,
            uid_map=uid_map,
            gid_map=gid_map,
            target=target,
            user=user,
            stage=stage,
        ) as asked:
            process = await asked.made()
    return Launched(link, what, process, asked.init, tty=stdio.tty)


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
        self.gone = False
        """It has been told to go, and may execute its program at any moment."""
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
        """After ready(): descriptors of mounts for the next run (keeper/steps/kept.py), the caller's from now on."""
        given, self._kept = self._kept, {}
        return given

    def let_go(self) -> None:
        """Let it execute its program as soon as it is set up: nothing is to be done between."""
        self.gone = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._init.send(GO, socket.MSG_NOSIGNAL)

    async def go(self) -> None:
        """Let it execute its program, and wait until it has. Raises StartFailed, and leaves nothing then."""
        try:
            if not self._ready:
                await self._until_ready()
            if not self.gone:
                self.let_go()
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
        await end(self._link, self.process, self._init)

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
        """The next packet; an empty one at the end.

        Of a child that has left without reading all, the kernel tells that first, once, and then what it had said
        (net/unix/af_unix.c, unix_release_sock).
        """
        while True:
            try:
                packet, fds, _flags = codec.receive_packet(self._init, MAX_REPORT, MAX_FDS)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._init)
            except ConnectionResetError:
                continue
            else:
                return packet, fds
