"""Answers that last: clients that leave, stop reading, shut down one side, or send more than they were asked for."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
import trio
import trio.testing
from helpers.api_server import Served, serving

from pysup.supervisor.api import connection, wire
from pysup.supervisor.api.streams import copy_both_ways, frame
from pysup.supervisor.api.wire import Answer, Duplex, Hijacked, Request, Sink, Streamed
from pysup.supervisor.errors import Conflict

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
ATTACH = b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def descriptors() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name} {os.readlink(entry)}")
        except FileNotFoundError:
            continue
    return {each for each in found if "socket:" in each or "eventpoll" in each or "/tmp" in each}


class Source:
    """Output that never ends; knows whether it was closed."""

    def __init__(self, directory: Path, data: bytes = b"x") -> None:
        self.file = directory / "log"
        self.file.write_bytes(b"")
        self.data = data
        self.given = 0
        self.opened = self.closed = 0
        self.more = trio.Event()

    async def chunks(self) -> AsyncIterator[tuple[int, bytes]]:
        self.opened += 1
        try:
            with self.file.open("rb"):
                while True:
                    self.given += 1
                    yield 1, self.data
                    await self.more.wait()
        finally:
            self.closed += 1


class Stdin:
    """Where a hijacked connection's input goes."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = trio.Event()
        self.came = trio.Event()

    async def write_stdin(self, data: bytes) -> None:
        self.data += data
        self.came.set()
        self.came = trio.Event()

    async def close_stdin(self) -> None:
        self.closed.set()


def streaming(source: Source) -> Callable[[Request], Awaitable[Answer]]:
    async def app(_request: Request) -> Answer:
        async def write(sink: Sink) -> None:
            await sink.begin()
            async with aclosing(source.chunks()) as chunks:  # type: ignore[type-var]
                async for _, data in chunks:
                    await sink.send(data)

        return Streamed(write)

    return app


def hijacking(source: Source, stdin: Stdin) -> Callable[[Request], Awaitable[Answer]]:
    async def app(_request: Request) -> Answer:
        async def run(duplex: Duplex) -> None:
            await duplex.begin("application/x")
            await copy_both_ways(duplex, source.chunks(), stdin, encode=frame, keys=b"")

        return Hijacked(run)

    return app


async def settled(served: Served) -> None:
    """Until the server serves no connection."""
    while served.nursery.child_tasks and len(_tasks(served)) > 0:
        await trio.testing.wait_all_tasks_blocked()
        if not _tasks(served):
            return


def _tasks(served: Served) -> list[str]:
    """The names of the tasks that serve connections."""
    (serve,) = served.nursery.child_tasks
    names = [task.name for nursery in serve.child_nurseries for task in nursery.child_tasks]
    return [name for name in names if "welcome" in name]


@pytest.mark.parametrize("request_", [GET, ATTACH])
@pytest.mark.parametrize("ending", ["close", "reset", "both sides"])
async def test_a_client_that_leaves_leaves_nothing_behind(
    tmp_path: Path, request_: bytes, ending: str
) -> None:
    source, stdin = Source(tmp_path), Stdin()
    app = streaming(source) if request_ is GET else hijacking(source, stdin)
    async with serving(app) as served:
        before = descriptors()
        async with served.client() as client:
            await client.send(request_)
            await client.head()
            while not source.opened:
                await trio.testing.wait_all_tasks_blocked()
            if ending == "reset":
                client.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if ending == "both sides":
                client.stream.socket.shutdown(socket.SHUT_RDWR)
                while not source.closed:
                    await trio.testing.wait_all_tasks_blocked()
        await settled(served)
        assert (source.opened, source.closed) == (1, 1)
        gc.collect()  # a ResourceWarning would be an error
        assert descriptors() == before
        async with served.client() as client:
            await client.send(GET)
            assert (await client.head()).status in {101, 200}


async def test_a_client_that_stops_reading_costs_what_its_socket_holds(tmp_path: Path) -> None:
    source = Source(tmp_path, b"x" * 65536)
    source.more.set()
    async with serving(streaming(source)) as served, served.client() as client:
        await client.send(GET)
        await client.head()
        given = -1
        while given != source.given:
            given = source.given
            await trio.testing.wait_all_tasks_blocked()
        assert given * 65536 < 4 << 20
        async with served.client() as other:  # nobody else has to wait for it
            await other.send(GET)
            assert (await other.head()).status == 200


async def test_an_upload_is_read_no_faster_than_it_is_taken() -> None:
    taken = 0
    go_on = trio.Event()

    async def app(request: Request) -> Answer:
        async def write(sink: Sink) -> None:
            nonlocal taken
            await sink.begin()
            async for chunk in request.chunks():
                taken += len(chunk)
                await go_on.wait()

        return Streamed(write)

    async with serving(app) as served, served.client() as client, trio.open_nursery() as nursery:
        head = b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (16 << 20)
        nursery.start_soon(client.send, head + b"x" * (16 << 20))
        assert (await client.head()).status == 200
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert taken <= 128 << 10
        go_on.set()
        await client.everything()
        assert taken == 16 << 20


async def test_an_upload_may_rest_as_long_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(request: Request) -> Answer:
        async def write(sink: Sink) -> None:
            async for chunk in request.chunks():
                await sink.send(chunk)

        return Streamed(write)

    async with serving(app) as served, served.client() as client:
        await client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await client.head()
        assert await client.exactly(6) == b"1\r\na\r\n"
        for module, name in ((connection, "HEAD_WITHIN"), (connection, "IDLE_WITHIN"), (wire, "JSON_WITHIN")):
            monkeypatch.setattr(module, name, 0.01)
        await client.send(b"1\r\nb\r\n")
        assert await client.exactly(6) == b"1\r\nb\r\n"
        await trio.testing.wait_all_tasks_blocked(0.05)
        await client.send(b"1\r\nc\r\n0\r\n\r\n")
        assert await client.exactly(11) == b"1\r\nc\r\n0\r\n\r\n"


async def test_what_comes_behind_the_head_of_a_hijack_is_input(tmp_path: Path) -> None:
    source, stdin = Source(tmp_path), Stdin()
    async with serving(hijacking(source, stdin)) as served, served.client() as client:
        await client.send(ATTACH + b"early")
        await client.head()
        while stdin.data != b"early":
            await trio.testing.wait_all_tasks_blocked()
        await client.send(b" late")
        await client.end()
        await stdin.closed.wait()
        assert stdin.data == b"early late"


async def test_a_half_close_ends_the_input_and_not_the_output(tmp_path: Path) -> None:
    source, stdin = Source(tmp_path, b"out"), Stdin()
    async with serving(hijacking(source, stdin)) as served, served.client() as client:
        await client.send(ATTACH)
        await client.head()
        await client.end()
        await stdin.closed.wait()
        source.more.set()
        for _ in range(3):
            assert await client.exactly(11) == frame(1, b"out")


async def test_an_old_way_of_hijacking_gets_a_200_without_a_length(tmp_path: Path) -> None:
    async with serving(hijacking(Source(tmp_path), Stdin())) as served, served.client() as client:
        await client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        head = await client.head()
        assert (head.status, head.upgraded) == (200, False)
        assert "content-length" not in head.headers and "transfer-encoding" not in head.headers
        assert await client.exactly(9) == frame(1, b"x")


async def test_a_hijack_that_is_refused_is_an_ordinary_answer() -> None:
    async def app(_request: Request) -> Answer:
        async def run(_duplex: Duplex) -> None:
            raise Conflict("cannot attach: it is gone")

        return Hijacked(run)

    async with serving(app) as served, served.client() as client:
        for _ in range(2):
            await client.send(ATTACH)
            assert (await client.answer())[0].status == 409


async def test_one_failure_of_a_nursery_inside_a_stream_is_that_failure() -> None:
    async def app(_request: Request) -> Answer:
        async def write(_sink: Sink) -> None:
            async def fail() -> None:
                raise Conflict("cannot stream: it is gone")

            async with trio.open_nursery() as outer, trio.open_nursery() as inner:
                inner.start_soon(fail)
                outer.start_soon(trio.sleep_forever)

        return Streamed(write)

    async with serving(app) as served, served.client() as client:
        await client.send(GET)
        head, body = await client.answer()
        assert (head.status, body) == (409, b'{"message":"cannot stream: it is gone"}\n')


async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(_request: Request) -> Answer:
        async def write(sink: Sink) -> None:
            await sink.send(b"some")
            raise Conflict("cannot go on")

        return Streamed(write)

    async with serving(app) as served, served.client() as client:
        await client.send(GET)
        await client.head()
        assert await client.everything() == b"4\r\nsome\r\n"
    assert [record.message for record in caplog.records] == ["an answer was broken off"]


async def test_a_connection_may_not_rest_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(connection, "IDLE_WITHIN", 0.01)
    source = Source(tmp_path)
    async with serving(streaming(source)) as served:
        async with served.client() as idle:
            assert await idle.everything() == b""
        async with served.client() as busy:
            await busy.send(GET)
            await busy.head()
            await trio.testing.wait_all_tasks_blocked(0.03)
            assert not source.closed
