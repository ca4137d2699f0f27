"""Network namespaces for tests: hosts joined by veth pairs. The tests themselves run in one of their own."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pysup.supervisor.kernel import net, netns, process


def new_namespace() -> int:
    """A network namespace with lo up, as a descriptor."""
    made: list[int] = []

    def make() -> None:
        process.unshare(process.CLONE_NEWNET)
        net.loopback_up()
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


@contextmanager
def namespace() -> Iterator[int]:
    """One for the block."""
    fd = new_namespace()
    try:
        yield fd
    finally:
        os.close(fd)


def ip(*words: str, inside: int | None = None) -> str:
    """Run ip(8), here or in a namespace."""
    return run(["ip", *words], inside=inside)


def run(argv: Sequence[str], *, inside: int | None = None) -> str:
    """Run a command, here or in a namespace; its output."""
    if inside is None:
        return _output(argv)
    with netns.entered(inside):
        return _output(argv)


def _output(argv: Sequence[str]) -> str:
    done = subprocess.run(list(argv), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout
