"""Children made ahead that end while they wait: the stock hears of it, whenever the keeper looks for orphans."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from pysup.supervisor.keeper import fork, loop
from pysup.supervisor.keeper.fork import Forked, Spare
from pysup.supervisor.keeper.loop import Keeper
from pysup.supervisor.keeper.poller import Poller
from pysup.supervisor.keeper.protocol import Order
from pysup.supervisor.keeper.stock import Stock
from pysup.supervisor.kernel import files


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Forked]]:
    """What the stock has made; any program stands for a child that waits."""
    found: list[Forked] = []
    ends: list[socket.socket] = []

    def ahead(_flags: int, _steps: object) -> Spare:
        pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ends.append(theirs)
        found.append(Forked(pid, os.pidfd_open(pid)))
        return Spare(found[-1], ours)

    monkeypatch.setattr(fork, "ahead", ahead)
    yield found
    for end in ends:
        end.close()


def test_one_that_was_killed_is_no_orphan(monkeypatch: pytest.MonkeyPatch, made: list[Forked]) -> None:
    poller = Poller()
    stock = Stock(poller)
    stock.order(Order("stage", 0, 1), files.memory_file("steps", json.dumps([]).encode()))
    stock.refill()
    (child,) = made
    os.kill(child.pid, signal.SIGKILL)
    assert select.select([child.pidfd], [], [], 10)[0]
    monkeypatch.setattr(loop.process, "children", lambda: [child.pid])
    table = SimpleNamespace(pids=set)
    keeper = SimpleNamespace(
        _kept=SimpleNamespace(table=table), _engine=None, _service=SimpleNamespace(stock=stock)
    )
    Keeper._reap_orphans(cast("Keeper", keeper))
    stock.due = None
    poller.turn(10)
    assert stock.due is not None
    assert stock.pids() == set()
    with pytest.raises(ChildProcessError):  # it was reaped all the same
        os.waitpid(child.pid, os.WNOHANG)
