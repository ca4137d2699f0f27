"""Sockets of netlink that cannot be had leave no descriptor: not even until they are collected."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pysup.supervisor.kernel.socket_filter import Wanted
from pysup.supervisor.network import netlink, watching, wiring

pytestmark = pytest.mark.kernel


@contextmanager
def nothing_left() -> Iterator[None]:
    """Also nothing that goes because nobody has it any more, of which Python warns."""
    before = os.listdir("/proc/self/fd")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield
    assert os.listdir("/proc/self/fd") == before
    assert not [one.message for one in warned if issubclass(one.category, ResourceWarning)]


def watch_by_too_much() -> object:
    return watching.Watch(0, 0, map(Wanted, range(5000)))


def find_nothing() -> object:
    return wiring._looked_up("none")


@pytest.mark.parametrize("attempt", [watch_by_too_much, find_nothing])
def test_what_fails_leaves_no_socket(attempt: Callable[[], object]) -> None:
    with nothing_left(), pytest.raises(OSError, match=r"Invalid argument|No such device|no interface"):
        attempt()


def test_a_netlink_socket_without_the_kernels_words_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink, "_EXT_ACK", 9999)
    with nothing_left(), pytest.raises(OSError, match="Protocol not available"):
        netlink._open()
