"""Slow clients: they keep places only for as long as nobody else wants them."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing
from helpers.api_server import serving

from pysup.supervisor.api import server
from pysup.supervisor.api.places import Places
from pysup.supervisor.api.wire import Request, Response, json_response

HALF = (
    b"",
    b"GE",
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
)
WHOLE = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_slowloris_does_not_keep_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 4)

    async def app(request: Request) -> Response:
        return json_response(await request.json())

    async with serving(app) as served, trio.open_nursery() as nursery:

        async def slow(beginning: bytes) -> None:
            async with served.client() as client:
                with suppress(trio.BrokenResourceError):
                    await client.send(beginning)
                    await client.receive()

        for round_ in range(5):
            for beginning in HALF:
                nursery.start_soon(slow, beginning)
            with trio.fail_after(30):
                async with served.client() as client:
                    await client.send(WHOLE)
                    assert (await client.answer())[0].status == 200, round_
        nursery.cancel_scope.cancel()


async def test_whoever_is_being_answered_is_not_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    go = trio.Event()
    begun = trio.Event()

    async def app(request: Request) -> Response:
        if request.path == "/slow":
            begun.set()
            await go.wait()
        return json_response(request.path)

    async with serving(app) as served, served.client() as answered:
        await answered.send(WHOLE.replace(b"/_ping", b"/slow"))
        await begun.wait()
        async with served.client() as idle:
            await idle.send(b"GE")
            async with served.client() as third:
                await third.send(WHOLE)
                assert (await third.answer())[0].status == 200
            assert await idle.receive() == b""
        go.set()
        assert (await answered.answer())[1] == b'"/slow"\n'


async def test_the_one_that_is_waited_for_longest_goes_first() -> None:
    places = Places(2)
    gone: list[str] = []

    async def connection(name: str, *, task_status: trio.TaskStatus[None]) -> None:
        with places.waiting() as scope:
            task_status.started()
            await trio.sleep_forever()
        assert scope.cancelled_caught
        gone.append(name)
        places.give_back()

    async with trio.open_nursery() as nursery:
        for name in ("a", "b", "c", "d"):
            await places.take()
            await nursery.start(connection, name)
        assert gone == ["a", "b"]
        nursery.cancel_scope.cancel()


async def test_who_begins_to_wait_while_another_wants_a_place_gives_it_up() -> None:
    places = Places(1)
    await places.take()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(places.take)
        await trio.testing.wait_all_tasks_blocked()
        with places.waiting() as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught
        places.give_back()
