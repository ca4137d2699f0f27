"""Doing something in another network namespace: setns(2) for the calling thread, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pysup.supervisor.kernel import process

_CANNOT_RETURN = 71
"""EX_OSERR of sysexits.h."""


@contextmanager
def entered(namespace: int) -> Iterator[None]:
    """In the block, the calling thread is in the network namespace of this descriptor. Raises KernelError.

    Nothing may wait (await) in the block: other tasks would run in the wrong place. A thread that cannot come
    back would do the host's work in a container, so the process ends then; the engine is crash-only.
    """
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        process.setns(namespace, process.CLONE_NEWNET)
        try:
            yield
        finally:
            try:
                process.setns(own, process.CLONE_NEWNET)
            except OSError:
                os._exit(_CANNOT_RETURN)
    finally:
        os.close(own)
