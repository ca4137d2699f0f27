"""The child between clone3(2) and execve(2): reads its plan and works through it, step by step.

It is a copy of the keeper, so the first thing it does is to let go of all that is not its own. It makes no
decision and imports nothing: after it has entered a container's root, a module's file would be the
container's.
"""

from __future__ import annotations

import _socket
import json
import os
import resource
from collections.abc import Iterable
from typing import NoReturn

from pysup.supervisor.keeper import codec, steps
from pysup.supervisor.keeper.protocol import MAX_FDS, MAX_MESSAGE, PLAN
from pysup.supervisor.keeper.steps import Step
from pysup.supervisor.keeper.steps.context import ENGINE_IS_GONE, Context, StepError
from pysup.supervisor.keeper.system import System
from pysup.supervisor.kernel import files, process, signals

MAX_PLAN = 16 << 20
STANDARD = ("stdin", "stdout", "stderr")
SETUP_FAILED = 128
SOFT_DESCRIPTOR_LIMIT = 1024
"""The usual soft limit, put back because the keeper raised its own; an "rlimit" step may set another."""


def main(fds: dict[str, int], first: list[Step]) -> NoReturn:
    """Be the child: do the first steps, then the plan's. Never returns, whatever happens."""
    try:
        context = _settle(fds.values())
        _take(context, fds)
        os._exit(_work(context, first))
    finally:
        os._exit(SETUP_FAILED)


def wait(sock: _socket.socket, first: list[Step]) -> NoReturn:
    """Be a child that was made ahead: do the first steps, then wait for a plan. Never returns.

    Where the first steps fail, it leaves: the next child, made for a container, will meet the same and can tell.
    """
    try:
        context = _settle([sock.fileno()])
        steps.run(context, first)
        packet, fds, _flags = codec.receive_packet(sock, MAX_MESSAGE, MAX_FDS, codec.BLOCKING)
        if packet:
            sock.close()
            _take(context, dict(zip(json.loads(packet), fds, strict=True)))
            os._exit(_work(context, []))
    finally:
        os._exit(SETUP_FAILED)


def _take(context: Context, fds: dict[str, int]) -> None:
    """Put the given streams on 0, 1 and 2, /dev/null on those that are not given, and keep the rest by name."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number, name in enumerate(STANDARD):
        os.dup2(fds.get(name, null), number)
    for fd in (null, *(fds[name] for name in STANDARD if name in fds)):
        os.close(fd)
    context.unset_stdio = tuple(number for number, name in enumerate(STANDARD) if name not in fds)
    context.fds = {name: fd for name, fd in fds.items() if name not in STANDARD}
    context.init = fds["init"]


def _work(context: Context, first: list[Step]) -> int:
    """Work through the steps; comes back only if one failed, with docker's exit code for it."""
    try:
        steps.run(context, first)
        if PLAN not in context.fds:
            _await_plan(context)
        steps.run(context, read_plan(context)["steps"])
    except steps.Failed as failed:
        context.tell({"failed": failed.label, "errno": failed.number, "detail": failed.detail})
        return failed.exit_code
    except (ValueError, KeyError, StepError) as error:
        context.tell({"failed": "read the plan", "errno": 22, "detail": str(error)})
    return SETUP_FAILED


def _await_plan(context: Context) -> None:
    """The plan comes later: wait for the engine's packet, the names of the descriptors that are attached to it."""
    sock = _socket.socket(fileno=context.init)
    try:
        packet, fds, _flags = codec.receive_packet(sock, MAX_MESSAGE, MAX_FDS, codec.BLOCKING)
    finally:
        sock.detach()
    if not packet:
        os._exit(ENGINE_IS_GONE)
    context.fds.update(zip(json.loads(packet), fds, strict=True))


def read_plan(context: Context) -> dict[str, list[Step]]:
    """The plan's document: steps of the child's, and those that come before it is made (births.py)."""
    os.lseek(context.fd(PLAN), 0, os.SEEK_SET)
    plan: dict[str, list[Step]] = json.loads(files.read_all(context.fd(PLAN), MAX_PLAN))
    return plan


def _settle(keep: Iterable[int]) -> Context:
    """Take leave of the keeper: its descriptors, its signal mask, its session; nobody may look at us
    (prctl(2)).
    """
    signals.unblock_all()
    close_others(keep)
    os.setsid()
    process.forbid_dump()
    process.join_new_keyring()
    os.umask(0)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(SOFT_DESCRIPTOR_LIMIT, hard), hard))
    return Context(System(), {})


def close_others(keep: Iterable[int]) -> None:
    """Close every descriptor from 3 on that is not to be kept, gap by gap."""
    first = 3
    for fd in sorted(keep):
        if fd > first:
            files.close_range(first, fd - 1)
        first = fd + 1
    files.close_range(first)
