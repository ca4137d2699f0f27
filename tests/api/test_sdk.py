"""The SDK on both of anyio's backends, against a real daemon."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest
from helpers.daemon import Daemon

from pysup.supervisor import client
from pysup.supervisor.client.aio import Pysup
from pysup.supervisor.errors import NotFound, Unavailable

pytestmark = [pytest.mark.kernel, pytest.mark.parametrize("backend", ["asyncio", "trio"])]


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


def use(daemon: Daemon, backend: str, body: Callable[[Pysup], Awaitable[None]]) -> None:
    async def main() -> None:
        with anyio.fail_after(60):
            async with client.connect(f"unix://{daemon.socket}") as pysup:
                await body(pysup)

    anyio.run(main, backend=backend)


def test_the_life_of_a_container(daemon: Daemon, backend: str) -> None:
    async def body(pysup: Pysup) -> None:
        container = await pysup.create("host", ["sh", "-c", "echo out; echo err >&2; exit 3"], name="one")
        assert (await pysup.containers(everything=True))[0]["Names"] == ["/one"]
        await pysup.start(container)
        assert await pysup.wait(container) == 3
        assert sorted([line async for line in pysup.logs("one")]) == [(1, b"out\n"), (2, b"err\n")]
        assert (await pysup.inspect("one"))["State"]["ExitCode"] == 3
        assert [run["ExitCode"] for run in await pysup.history("one")] == [3]
        await pysup.remove("one")
        with pytest.raises(NotFound):
            await pysup.inspect("one")

    use(daemon, backend, body)


def test_attach_exec_and_events(daemon: Daemon, backend: str) -> None:
    async def body(pysup: Pysup) -> None:
        begun = time.time()
        container = await pysup.create("host", ["cat"], OpenStdin=True, StdinOnce=True)
        async with pysup.attach(container) as streams:
            await pysup.start(container)
            done = await pysup.exec(container, ["sh", "-c", "echo inside; exit 5"])
            assert (done.exit_code, done.stdout) == (5, b"inside\n")
            await streams.send(b"through cat\n")
            await streams.send_eof()
            assert b"".join([data async for _, data in streams]) == b"through cat\n"
        assert await pysup.wait(container) == 0
        actions = [
            event["Action"]
            async for event in pysup.events(since=begun, until=time.time())
            if event["Action"] == "die"
        ]
        assert actions == ["die"]
        await pysup.remove(container)

    use(daemon, backend, partial(body))


def test_nobody_there(backend: str) -> None:
    async def main() -> None:
        async with client.connect("/nowhere/pysup.sock"):
            pass

    with pytest.raises(Unavailable, match="cannot connect to the daemon"):
        anyio.run(main, backend=backend)
