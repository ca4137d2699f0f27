"""Network namespaces for tests: hosts joined by veth pairs. The tests themselves run in one of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pysup.supervisor.kernel import netns


@contextmanager
def namespace() -> Iterator[int]:
    """A network namespace with lo up for the block, as a descriptor."""
    fd = netns.new_namespace()
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
