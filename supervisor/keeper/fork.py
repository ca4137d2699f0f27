"""Clone a child for a plan. The keeper is single-threaded, so the child may go on in Python (clone3(2))."""

from __future__ import annotations

import _socket
import contextlib
import errno
import json
import os
from collections.abc import Iterator
from typing import NamedTuple

from pysup.supervisor.keeper import child, codec, exhaustion
from pysup.supervisor.keeper.protocol import CGROUP, Spawn
from pysup.supervisor.keeper.steps import Step
from pysup.supervisor.kernel import process
from pysup.supervisor.kernel.libc import KernelError

ALLOWED_FLAGS = sum(process.NAMESPACES.values()) & ~process.CLONE_NEWTIME


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


def check(message: Spawn) -> None:
    """Raises Refused for what no child may be made with."""
    if message.flags & ~ALLOWED_FLAGS:
        raise Refused("clone: a flag that is no namespace", errno.EINVAL)


def fork(message: Spawn, fds: dict[str, int], home: int, first: list[Step]) -> Forked:
    """Make the child that runs ``first`` and the plan. ``home`` is own_pid_namespace(). Raises Refused.

    The child never returns from here: it executes the container's program or leaves.
    """
    check(message)
    if not message.join_pid:
        return _make(message, fds, first)
    with step("join the pid namespace"):
        process.setns(fds["target"], process.CLONE_NEWPID)
    try:
        return _make(message, fds, first)
    finally:
        process.setns(home, process.CLONE_NEWPID)


def ahead(flags: int, first: list[Step]) -> Spare:
    """Make a child that runs ``first`` and waits for its container. Raises Refused, OSError."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        pid, pidfd = clone3(flags)
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
        return clone(message, fds, first)
    wait_fd, go_fd = os.pipe2(os.O_CLOEXEC)
    try:
        made = clone(message, {**fds, "sync": wait_fd}, first)
        _write_maps(made, message, go_fd)
    finally:
        os.close(wait_fd)
        os.close(go_fd)
    return made


def clone(message: Spawn, fds: dict[str, int], first: list[Step]) -> Forked:
    """Clone a child that works through its steps, and never comes back. Raises Refused."""
    pid, pidfd = clone3(message.flags, fds.get(CGROUP))
    if pid == 0:
        child.main(fds, first)
    return Forked(pid, pidfd)


def clone3(flags: int, cgroup: int | None = None) -> tuple[int, int]:
    """As process.clone3(). Raises Refused."""
    try:
        return process.clone3(flags, cgroup_fd=cgroup)
    except KernelError as error:
        number = error.errno or errno.EIO
        cause = exhaustion.cause(number, flags & ALLOWED_FLAGS, in_cgroup=cgroup is not None)
        raise Refused("clone", number, cause) from error


def _write_maps(made: Forked, message: Spawn, go_fd: int) -> None:
    """Write /proc/PID/uid_map and gid_map (user_namespaces(7)); a child without them is killed and reaped."""
    try:
        for name, text in (("gid_map", message.gid_map), ("uid_map", message.uid_map)):
            with step(f"write {name}"), open(f"/proc/{made.pid}/{name}", "wb", buffering=0) as file:
                file.write(text.encode())
        os.write(go_fd, b"1")
    except Refused:
        process.kill_and_reap(made.pidfd)
        os.close(made.pidfd)
        raise


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Name what an OSError happened in."""
    try:
        yield
    except OSError as error:
        raise Refused(name, error.errno or errno.EIO) from error
