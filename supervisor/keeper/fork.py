"""Clone a child for a plan. The keeper is single-threaded, so the child may go on in Python (clone3(2))."""

from __future__ import annotations

import _socket
import contextlib
import errno
import json
import os
import select
import signal
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from pysup.supervisor.keeper import child, codec, exhaustion, steps
from pysup.supervisor.keeper.context import Context
from pysup.supervisor.keeper.protocol import CGROUP, MAX_MESSAGE, Spawn
from pysup.supervisor.keeper.steps import Step
from pysup.supervisor.keeper.system import System
from pysup.supervisor.kernel import process
from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.kernel.own_ids import is_rootless

ALLOWED_FLAGS = sum(process.NAMESPACES.values()) & ~process.CLONE_NEWTIME
OUTSIDE_WITHIN = 3.0
"""Seconds for what a helper does in the namespaces of other containers: a hostile one can make it wait for ever."""
_END_WITHIN = 1.0
"""Seconds to wait for the end of a helper that was killed: one that is in such a wait does not end."""
_DONE = b"done"
"""What the helper says once it needs no other container any more, and what it hears: it may clone."""


class Refused(Exception):
    """No child was made; the step, its errno, and a text where that does not tell enough."""

    def __init__(self, step: str, number: int, detail: str = "") -> None:
        super().__init__(f"{step}: {detail or os.strerror(number)}")
        self.step = step
        self.number = number
        self.detail = detail


class Forked(NamedTuple):
    """The new process, as its parent sees it."""

    pid: int
    pidfd: int


class Spare(NamedTuple):
    """A child that was made ahead, and our end of the socket on which it waits."""

    made: Forked
    sock: _socket.socket

    def give(self, fds: dict[str, int]) -> bool:
        """Let it begin with these descriptors; False if it is gone, which closes everything of it."""
        try:
            codec.send_packet(self.sock, json.dumps(list(fds)).encode(), list(fds.values()))
        except OSError:
            self.close()
            return False
        self.sock.close()
        return True

    def close(self) -> None:
        """End it, if it has not ended yet."""
        self.sock.close()
        with contextlib.suppress(ChildProcessError):
            process.kill_and_reap(self.made.pidfd)
        os.close(self.made.pidfd)


def own_pid_namespace() -> int:
    """A descriptor of the keeper's own pid namespace, to come back to after a child was made in another."""
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def fork(message: Spawn, fds: dict[str, int], home: int, first: list[Step]) -> Forked:
    """Make the child that runs ``first`` and the plan. ``home`` is own_pid_namespace(). Raises Refused.

    The child never returns from here: it executes the container's program or leaves.
    """
    if message.flags & ~ALLOWED_FLAGS:
        raise Refused("clone: a flag that is no namespace", errno.EINVAL)
    if message.join_user or (message.join_pid and is_rootless()):
        return _through_helper(message, fds, first)
    if not message.join_pid:
        return _make(message, fds, first)
    with _step("join the pid namespace"):
        process.setns(fds["target"], process.CLONE_NEWPID)
    try:
        return _make(message, fds, first)
    finally:
        process.setns(home, process.CLONE_NEWPID)


def ahead(flags: int, first: list[Step]) -> Spare:
    """Make a child that runs ``first`` and waits for its container. Raises Refused, OSError."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        pid, pidfd = _clone3(flags)
        if pid == 0:
            child.wait(theirs, first)
    except Refused:
        ours.close()
        raise
    finally:
        theirs.close()
    return Spare(Forked(pid, pidfd), ours)


def _make(message: Spawn, fds: dict[str, int], first: list[Step]) -> Forked:
    """Clone; with id maps the child waits for one byte until they are written."""
    if not message.uid_map and not message.gid_map:
        return _clone(message, fds, first)
    wait_fd, go_fd = os.pipe2(os.O_CLOEXEC)
    try:
        made = _clone(message, {**fds, "sync": wait_fd}, first)
        _write_maps(made, message, go_fd)
    finally:
        os.close(wait_fd)
        os.close(go_fd)
    return made


def _clone(message: Spawn, fds: dict[str, int], first: list[Step]) -> Forked:
    pid, pidfd = _clone3(message.flags, fds.get(CGROUP))
    if pid == 0:
        child.main(fds, first)
    return Forked(pid, pidfd)


def _clone3(flags: int, cgroup: int | None = None) -> tuple[int, int]:
    """As process.clone3(). Raises Refused."""
    try:
        return process.clone3(flags, cgroup_fd=cgroup)
    except KernelError as error:
        number = error.errno or errno.EIO
        cause = exhaustion.cause(number, flags & ALLOWED_FLAGS, in_cgroup=cgroup is not None)
        raise Refused("clone", number, cause) from error


def _through_helper(message: Spawn, fds: dict[str, int], first: list[Step]) -> Forked:
    """Make the child in the user namespace ``user``, or the pid namespace of ``target``, which a helper enters.

    There is no way back from the one, nor without root from the other. The child is the keeper's own all the same
    (CLONE_PARENT), and its namespaces belong to that user namespace.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        pid, helper = _clone3(0)
        if pid == 0:
            _help(message, fds, first, theirs)
        theirs.close()
        try:
            answer, given = _answer_of(ours)
        finally:
            _let_go(helper)
    finally:
        theirs.close()
        ours.close()
    if not given:
        step, number, detail = json.loads(answer or b'["clone", 0, ""]')
        raise Refused(step, number or errno.EIO, detail)
    return Forked(process.pidfd_pid(given[0]), given[0])


def _answer_of(sock: _socket.socket) -> tuple[bytes, list[int]]:
    """The helper's last word and the pidfd. It has made no child when this raises Refused."""
    if not _readable(sock.fileno(), OUTSIDE_WITHIN):
        cause = f"a container whose namespaces it shares has not answered within {OUTSIDE_WITHIN:g} seconds"
        raise Refused("prepare outside the user namespace", errno.ETIMEDOUT, cause)
    answer, given, _flags = codec.receive_packet(sock, MAX_MESSAGE, 1, codec.BLOCKING)
    if answer == _DONE:
        with _step("clone"):
            codec.send_packet(sock, _DONE, [])
        answer, given, _flags = codec.receive_packet(sock, MAX_MESSAGE, 1, codec.BLOCKING)
    return answer, given


def _let_go(helper: int) -> None:
    """End it. One that cannot end now is left to the keeper's loop, which reaps whatever has ended."""
    process.pidfd_send_signal(helper, signal.SIGKILL)
    if _readable(helper, _END_WITHIN):
        process.reap_if_ours(helper)
    os.close(helper)


def _readable(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _help(message: Spawn, fds: dict[str, int], first: list[Step], sock: _socket.socket) -> NoReturn:
    """Be the helper: clone inside, send the pidfd, or the step that failed with its errno.

    What other containers have a hand in comes first. It keeps nothing of the keeper's, as it may hang there.
    """
    try:
        child.close_others([*fds.values(), sock.fileno()])
        process.forbid_dump()  # whose root may look at what is in its user namespace
        if message.join_pid:
            with _step("join the pid namespace"):
                process.setns(fds["target"], process.CLONE_NEWPID)
        if message.join_user:
            _do_outside(fds)
        codec.send_packet(sock, _DONE, [])
        if not codec.receive_packet(sock, len(_DONE), 0, codec.BLOCKING)[0]:
            os._exit(0)
        if message.join_user:
            with _step("enter the user namespace"):
                process.setns(fds["user"], process.CLONE_NEWUSER)
        made = _clone(message._replace(flags=message.flags | process.CLONE_PARENT), fds, first)
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


def _write_maps(made: Forked, message: Spawn, go_fd: int) -> None:
    """Write /proc/PID/uid_map and gid_map (user_namespaces(7)); a child without them is killed and reaped."""
    try:
        for name, text in (("gid_map", message.gid_map), ("uid_map", message.uid_map)):
            with _step(f"write {name}"), open(f"/proc/{made.pid}/{name}", "wb", buffering=0) as file:
                file.write(text.encode())
        os.write(go_fd, b"1")
    except Refused:
        process.kill_and_reap(made.pidfd)
        os.close(made.pidfd)
        raise


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    """Name what an OSError happened in."""
    try:
        yield
    except OSError as error:
        raise Refused(name, error.errno or errno.EIO) from error
