"""What has no descriptor left for what it needs leaves nothing: no process that waits, no descriptor."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from helpers.rows import NOW, container

from pysup.supervisor.engine.callers import DAEMON
from pysup.supervisor.engine.containers import exec_session, execution, probing
from pysup.supervisor.engine.containers.exec_session import ExecSession
from pysup.supervisor.engine.containers.namespaces import HeldNamespaces
from pysup.supervisor.keeper.client.link import Process as KeeperProcess
from pysup.supervisor.runtime.launch import Launched, Stdio
from pysup.supervisor.spec.container import Process


class Child:
    """In place of a Launched."""

    process = SimpleNamespace(key="exec/e", pid=7)
    stdio = Stdio()

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def ready(self) -> None:
        await self._note("ready")

    async def go(self) -> None:
        await self._note("go")

    async def abort(self) -> None:
        await self._note("abort")

    async def _note(self, call: str) -> None:
        await trio.lowlevel.checkpoint()
        self.calls.append(call)


@pytest.fixture(autouse=True)
def _no_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_fds: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(exec_session, "watch", refuse)


async def test_an_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    child, written = Child(), []

    async def launch(*_given: object, **_named: object) -> Child:
        await trio.lowlevel.checkpoint()
        return child

    async def write(change: object) -> None:
        await trio.lowlevel.checkpoint()
        written.append(change)

    monkeypatch.setattr(execution, "launch_exec", launch)
    parts = SimpleNamespace(
        now_ns=lambda: NOW,
        store=SimpleNamespace(write=write),
        news=SimpleNamespace(publish=lambda _news: None),
    )
    run = SimpleNamespace(process=SimpleNamespace(pidfd=-1), ended=False, cgroup=object())
    of = SimpleNamespace(run=run, record=SimpleNamespace(row=container()))
    session = ExecSession("e", tty=False, has_stdin=False)
    one = execution.Exec(*cast("Any", (parts, of, Process(argv=("true",)), session, DAEMON)))
    await one.perform()
    assert child.calls == ["abort"]
    assert len(written) == 2  # that it runs, and that it does not
    with pytest.raises(OSError, match="Too many open files"):
        await session.started.get()


async def test_a_health_check() -> None:
    child = Child()
    with pytest.raises(OSError, match="Too many open files"):
        await probing._performed(cast("Any", None), cast("Launched", child), bytearray())
    assert child.calls == ["abort"]


async def test_namespaces_that_are_to_be_held() -> None:
    before = os.listdir("/proc/self/fd")
    held = HeldNamespaces(cast("Any", None), "x")
    with pytest.raises(FileNotFoundError):
        await held.hold(KeeperProcess("x", os.getpid(), -1), ["net", "nosuch"])
    assert os.listdir("/proc/self/fd") == before
