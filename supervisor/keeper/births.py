"""Children that are born where the keeper could not come back from: a helper enters that, and clones there.

There is no way back from a user namespace, nor without root from a pid namespace. The child is the keeper's own all
the same (CLONE_PARENT), and its namespaces belong to that user namespace.

What other containers have a hand in (plan/outside.py) the helper does first, and may have to wait for, past its own
kill. Nobody waits for it meanwhile but its start: the keeper's loop goes on.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import json
import os
import signal
import time
from collections.abc import Callable
from typing import NoReturn

from pysup.supervisor.keeper import child, codec, fork, steps
from pysup.supervisor.keeper.fork import Forked, Refused
from pysup.supervisor.keeper.poller import Poller
from pysup.supervisor.keeper.protocol import MAX_MESSAGE, Spawn
from pysup.supervisor.keeper.steps import Step
from pysup.supervisor.keeper.steps.context import Context
from pysup.supervisor.keeper.system import System
from pysup.supervisor.kernel import process
from pysup.supervisor.kernel.own_ids import is_rootless

OUTSIDE_WITHIN = 3.0
"""Seconds for what a helper does in the namespaces of other containers; then its start fails."""
_DONE = b"done"
"""What the helper says once it needs no other container any more, and what it hears: it may clone."""


def needs_helper(message: Spawn) -> bool:
    """Whether a child cannot be cloned by the keeper itself."""
    return message.join_user or (message.join_pid and is_rootless())


class Birth:
    """A child that is to be made by a helper."""

    def __init__(self, key: str, hold: dict[str, int], sock: _socket.socket, helper: int) -> None:
        self.key = key
        self.hold = hold
        """What its entry is to hold: the birth's until it is done."""
        self.sock = sock
        """Our end of what is said with the helper."""
        self.helper = helper
        """The helper's pidfd."""
        self.due = time.monotonic() + OUTSIDE_WITHIN
        """When it is given up (time.monotonic())."""


Done = Callable[[Birth, Forked | Refused], None]


class Births:
    """All that are on their way. ``done`` is told what came of each, and gets what it holds."""

    def __init__(self, poller: Poller, done: Done) -> None:
        self._poller = poller
        self._done = done
        self._births: dict[str, Birth] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._births

    @property
    def due(self) -> float | None:
        """When give_up() is to be called next; None: nobody is waited for."""
        return min((birth.due for birth in self._births.values()), default=None)

    def begin(self, message: Spawn, fds: dict[str, int], hold: dict[str, int], first: list[Step]) -> None:
        """Start a helper, which has its own copies of ``fds`` then. Raises Refused, and takes nothing."""
        fork.check(message)
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        try:
            pid, helper = fork.clone3(0)
            if pid == 0:
                _help(message, fds, first, theirs)
        except Refused:
            ours.close()
            raise
        finally:
            theirs.close()
        birth = self._births[message.key] = Birth(message.key, hold, ours, helper)
        self._poller.watch(ours.fileno(), lambda: self._go_on(birth))

    def give_up(self, now: float) -> None:
        """Let those starts fail whose helpers have not come back in time."""
        for birth in [one for one in self._births.values() if one.due <= now]:
            cause = (
                f"a container whose namespaces it shares has not answered within {OUTSIDE_WITHIN:g} seconds"
            )
            self._end(birth, Refused("prepare outside the user namespace", errno.ETIMEDOUT, cause))

    def clear(self) -> None:
        """Nobody wants to know of them any more: no child is made that is not made yet."""
        for birth in list(self._births.values()):
            self._forget(birth)
            codec.close_all(list(birth.hold.values()))

    def _go_on(self, birth: Birth) -> None:
        with contextlib.suppress(BlockingIOError):  # the event was of another descriptor that had its number
            self._end(birth, _hear(birth.sock))

    def _end(self, birth: Birth, made: Forked | Refused) -> None:
        self._forget(birth)
        self._done(birth, made)

    def _forget(self, birth: Birth) -> None:
        """The helper's end is waited for by the poller: one that hangs in a file system ends with that."""
        del self._births[birth.key]
        self._poller.unwatch(birth.sock.fileno())
        birth.sock.close()
        process.pidfd_send_signal(birth.helper, signal.SIGKILL)
        self._poller.watch(birth.helper, lambda: self._reap(birth.helper))

    def _reap(self, helper: int) -> None:
        self._poller.unwatch(helper)
        process.reap_if_ours(helper)
        os.close(helper)


def _hear(sock: _socket.socket) -> Forked | Refused:
    """What became of it, once the helper has said something. Raises BlockingIOError if it has not.

    Where it is done outside it is waited for: only the kernel is left to ask.
    """
    try:
        answer, given, _flags = codec.receive_packet(sock, MAX_MESSAGE, 1)
        if answer == _DONE:
            codec.send_packet(sock, _DONE, [])
            answer, given, _flags = codec.receive_packet(sock, MAX_MESSAGE, 1, codec.BLOCKING)
    except (BrokenPipeError, ConnectionResetError) as error:
        return Refused("clone", error.errno or errno.EIO)
    if given:
        return Forked(process.pidfd_pid(given[0]), given[0])
    step, number, detail = json.loads(answer or b'["clone", 0, ""]')
    return Refused(step, number or errno.EIO, detail)


def _help(message: Spawn, fds: dict[str, int], first: list[Step], sock: _socket.socket) -> NoReturn:
    """Be the helper: clone inside, send the pidfd, or the step that failed with its errno.

    What other containers have a hand in comes first. It keeps nothing of the keeper's, as it may hang there.
    """
    try:
        child.close_others([*fds.values(), sock.fileno()])
        process.forbid_dump()  # whose root may look at what is in its user namespace
        if message.join_pid:
            with fork.step("join the pid namespace"):
                process.setns(fds["target"], process.CLONE_NEWPID)
        if message.join_user:
            _do_outside(fds)
        codec.send_packet(sock, _DONE, [])
        if not codec.receive_packet(sock, len(_DONE), 0, codec.BLOCKING)[0]:
            os._exit(0)
        if message.join_user:
            with fork.step("enter the user namespace"):
                process.setns(fds["user"], process.CLONE_NEWUSER)
        made = fork.clone(message._replace(flags=message.flags | process.CLONE_PARENT), fds, first)
        codec.send_packet(sock, b"{}", [made.pidfd])
    except Refused as refused:
        codec.send_packet(sock, json.dumps([refused.step, refused.number, refused.detail]).encode(), [])
    finally:
        os._exit(0)


def _do_outside(fds: dict[str, int]) -> None:
    """Do what the plan wants done before its user namespace is entered; descriptors that come of it are the child's."""
    context = Context(System(), fds)
    try:
        steps.run(context, child.read_plan(context)["outside"])
    except steps.Failed as failed:
        raise Refused(failed.label, failed.number, failed.detail) from failed
