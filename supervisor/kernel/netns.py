"""Doing something in another network namespace: setns(2) for the calling thread, and back."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pysup.supervisor.kernel import net, nsfs, process

T = TypeVar("T")
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


@functools.cache
def is_governed() -> bool:
    """Whether this process has power over its own network namespace: that of its user namespace, or of one below it.

    An ordinary user's daemon has not: it can enter what it has made itself, but never come back (ioctl_ns(2)).
    """
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        nsfs.owner(own)
    except PermissionError:
        return False
    finally:
        os.close(own)
    return True


def new_namespace() -> int:
    """Make a network namespace, with lo up: a descriptor, the caller's. Raises KernelError."""
    return _run_and_stay(_made)


def _made() -> int:
    process.unshare(process.CLONE_NEWNET)
    net.loopback_up()
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def run_inside(namespace: int | None, call: Callable[[], T]) -> T:
    """What a call gives in the network namespace of this descriptor; None: in the caller's own.

    Raises KernelError, and what the call does.
    """
    if namespace is None:
        return call()
    if is_governed():
        with entered(namespace):
            return call()
    return _run_and_stay(lambda: _gone_inside(namespace, call))


def _gone_inside(namespace: int, call: Callable[[], T]) -> T:
    process.setns(namespace, process.CLONE_NEWNET)
    return call()


def _run_and_stay(call: Callable[[], T]) -> T:
    """In a thread that ends where it has gone."""
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for failure in failures:
        raise failure
    return results[0]
