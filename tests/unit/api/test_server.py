"""The server over a real unix socket: requests, bodies, limits. The app is tiny; the bytes are real."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
from helpers.api_server import serving

from pysup.supervisor.api import connection, server, wire
from pysup.supervisor.api.wire import Answer, Request, Response, Sink, Streamed, empty, json_response
from pysup.supervisor.errors import Conflict, NotFound, NotModified, StartFailed

CHUNKED = b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    kind = "Content-Type: application/json"
    return get(path, kind, f"Content-Length: {len(body)}", *headers, method="POST") + body


async def told(request: Request) -> Response:
    """What the server made of a request; paths that begin with /json read its body, others leave it."""
    document = await request.json() if request.path.startswith("/json") else None
    return json_response(
        {
            "method": request.method,
            "path": request.path,
            "q": request.query.text("q"),
            "version": request.version,
            "caller": request.caller,
            "body": document,
        }
    )


async def test_requests_are_answered_one_after_the_other_even_if_they_come_at_once() -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(
            get("/a?q=1%202") + post("/json", b'{"x": 1}') + post("/left", b"unread") + get("/d")
        )
        bodies = [json.loads((await client.answer())[1]) for _ in range(4)]
    assert [(body["path"], body["q"], body["body"]) for body in bodies] == [
        ("/a", "1 2", None),
        ("/json", "", {"x": 1}),
        ("/left", "", None),
        ("/d", "", None),
    ]


async def test_the_caller_is_who_the_kernel_says() -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(get("/v1.41/who"))
        head, body = await client.answer()
    found = json.loads(body)
    assert found["version"] == [1, 41] and found["path"] == "/who"
    assert found["caller"][:2] == [os.getuid(), os.getpid()]
    assert head.headers["api-version"] == "1.47" and head.headers["ostype"] == "linux"
    assert head.headers["docker-experimental"] == "false" and head.headers["server"].startswith("Pysup/")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.48", "client version 1.48 is too new. Maximum supported API version is 1.47"),
        ("1.39", "client version 1.39 is too old. Minimum supported API version is 1.40"),
        ("0.99", "client version 0.99 is too old."),
    ],
)
async def test_versions_are_refused_in_dockers_words(version: str, words: str) -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(get(f"/v{version}/info") + get("/after"))
        head, body = await client.answer()
        assert head.status == 400 and json.loads(body)["message"].startswith(words)
        assert (await client.answer())[0].status == 200


async def test_a_body_may_come_in_chunks_of_any_size() -> None:
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"x": [1, 2]}') + b"0\r\n\r\n"
    async with serving(told) as served, served.client() as client:
        for byte in b"POST /json HTTP/1.1\r\nHost: x\r\n" + CHUNKED + body:
            await client.send(bytes([byte]))
        assert json.loads((await client.answer())[1])["body"] == {"x": [1, 2]}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'"\\ud800"', "application/json"),
        (b"NaN", "application/json"),
        (b"1" * 5000, "application/json"),
        (b"{}", "text/plain"),
        (b"{}", ""),
    ],
)
async def test_a_body_that_is_no_json_is_a_bad_request(body: bytes, kind: str) -> None:
    head = get("/json", f"Content-Type: {kind}", f"Content-Length: {len(body)}", method="POST")
    async with serving(told) as served, served.client() as client:
        await client.send(head + body + get("/after"))
        answer, found = await client.answer()
        assert answer.status == 400, found
        assert "cannot read the request" in json.loads(found)["message"]
        assert (await client.answer())[0].status == 200


async def test_too_much_json_is_refused_and_the_answer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_JSON", 1000)
    monkeypatch.setattr(connection, "MAX_DRAIN", 1000)
    async with serving(told) as served, served.client() as client, trio.open_nursery() as nursery:

        async def flood() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await client.send(post("/json", b"1" * (8 << 20)))

        nursery.start_soon(flood)
        head, body = await client.answer()
        assert (head.status, head.headers["connection"]) == (413, "close") and b"larger than 1000" in body
        assert await client.everything() == b""


@pytest.mark.parametrize("headers", [(), ("Expect: 100-continue",)], ids=["plain", "expecting"])
async def test_a_body_that_is_announced_to_be_too_large_is_refused_before_it_comes(
    headers: tuple[str, ...],
) -> None:
    announced = post("/json", b"", *headers).replace(b"Length: 0", b"Length: %d" % (wire.MAX_JSON + 1))
    async with serving(told) as served, served.client() as client:
        await client.send(announced)
        head, body = await client.answer()
        assert (head.status, head.headers["connection"]) == (413, "close") and b"larger than" in body
        assert await client.everything() == b""
        async with served.client() as other:
            await other.send(post("/json", b"{}") + get("/after"))
            assert [(await other.answer())[0].status for _ in range(2)] == [200, 200]


async def test_a_body_in_chunks_that_becomes_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_JSON", 5)
    async with serving(told) as served, served.client() as client:
        await client.send(b"POST /json HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"6\r\n123456\r\n")
        assert (await client.answer())[0].status == 413
        assert await client.everything() == b""


def head_of(size: int, *, at: str = "headers") -> bytes:
    """A whole request of so many bytes: headers that are long, or many, or a long name."""
    start, end = {
        "headers": (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n\r\n"),
        "target": (b"GET /", b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    }[at]
    return start + b"a" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("at", ["headers", "target"])
@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_the_limit_of_a_head_is_what_it_says(at: str, pieces: int) -> None:
    for size, status in (
        (connection.MAX_HEAD, 200),
        (connection.MAX_HEAD + 1, 431),
        (2 * connection.MAX_HEAD, 431),
    ):
        async with serving(told) as served, served.client() as client:
            data, step = head_of(size, at=at), -(-size // pieces)
            with suppress(trio.BrokenResourceError):  # refused before the last piece
                for begin in range(0, size, step):
                    await client.send(data[begin : begin + step])
            assert (await client.answer())[0].status == status


async def test_a_head_behind_a_body_has_the_same_limit() -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(post("/json", b"{}") + head_of(connection.MAX_HEAD + 1))
        assert [(await client.answer())[0].status for _ in range(2)] == [200, 431]
        assert await client.everything() == b""


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n", b"-1\r\nx\r\n", b"5\r\nabcdefgh\r\n", b"fffffffffffffffffffffffff\r\n", b"\r\n"]
)
async def test_a_bad_chunk_is_a_bad_request(chunk: bytes) -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(b"POST /json HTTP/1.1\r\nHost: x\r\n" + CHUNKED + chunk)
        head, body = await client.answer()
        assert head.status == 400 and json.loads(body)["message"]
        assert await client.everything() == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (100 << 10), 431),
        (b"GET /" + b"a" * (100 << 10), 431),
    ],
)
async def test_what_is_not_http_is_refused_and_ends_the_connection(data: bytes, status: int) -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(data)
        head, body = await client.answer()
        assert (head.status, head.headers["connection"]) == (status, "close")
        assert json.loads(body)["message"].startswith("cannot read the request: ")
        assert await client.everything() == b""
        async with served.client() as other:
            await other.send(get("/"))
            assert (await other.answer())[0].status == 200


async def test_a_head_that_does_not_end_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(told) as served, served.client() as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "HEAD_WITHIN", 3.0)
            await client.send(get("/whole") + b"GET /slow HTTP/1.1\r\nHost")
            assert (await client.answer())[0].status == 200
            assert (await client.answer())[0].status == 408
            assert await client.everything() == b""


async def test_a_json_body_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "JSON_WITHIN", 0.01)
    monkeypatch.setattr(connection, "DRAIN_WITHIN", 0.01)
    async with serving(told) as served, served.client() as client:
        await client.send(post("/json", b"{}").replace(b"Length: 2", b"Length: 3"))
        head, body = await client.answer()
        assert head.status == 400 and b"not complete after" in body
        assert await client.everything() == b""


async def test_a_client_that_ends_in_the_middle_of_a_body_is_told() -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(post("/json", b"{}").replace(b"Length: 2", b"Length: 3"))
        await client.end()
        assert (await client.answer())[0].status == 400


async def test_leave_to_send_a_body_is_given_when_it_is_wanted() -> None:
    async with serving(told) as served, served.client() as client:
        whole = post("/json", b"{}", "Expect: 100-continue")
        await client.send(whole[:-2])
        assert await client.exactly(12) == b"HTTP/1.1 100"
        while await client.exactly(1) != b"\n":
            pass
        assert await client.exactly(2) == b"\r\n"
        await client.send(b"{}" + get("/after"))
        assert json.loads((await client.answer())[1])["body"] == {}
        assert (await client.answer())[0].status == 200


async def test_who_waits_for_leave_and_is_refused_need_not_send_the_body() -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(post("/left", b"{}", "Expect: 100-continue")[:-2])
        head, _ = await client.answer()
        assert (head.status, head.headers["connection"]) == (200, "close")
        assert await client.everything() == b""


async def streamed(request: Request) -> Answer:
    async def write(sink: Sink) -> None:
        await sink.begin()
        async for chunk in request.chunks():
            await sink.send(chunk)

    return Streamed(write)


async def test_leave_comes_before_the_head_of_an_answer_that_reads_the_body() -> None:
    async with serving(streamed) as served, served.client() as client:
        await client.send(post("/x", b"data", "Expect: 100-continue")[:-4])
        interim = b""
        while not interim.endswith(b"\r\n\r\n"):
            interim += await client.exactly(1)
        assert interim.startswith(b"HTTP/1.1 100")
        await client.send(b"data")
        head, body = await client.answer()
        assert (head.status, body) == (200, b"data")


@pytest.mark.parametrize("app", [told, streamed])
async def test_head_has_no_body(app: Callable[[Request], Awaitable[Answer]]) -> None:
    async with serving(app) as served, served.client() as client:
        await client.send(get("/x", method="HEAD") + get("/x", method="HEAD"))
        for _ in range(2):
            head, body = await client.answer("HEAD")
            assert (head.status, body) == (200, b"")


async def test_an_old_client_gets_no_chunks() -> None:
    async with serving(streamed) as served, served.client() as client:
        await client.send(b"POST /x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
        head, body = await client.answer()
        assert "transfer-encoding" not in head.headers
        assert body == b"abc"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("no such thing"), 404),
        (Conflict("busy"), 409),
        (StartFailed("container x", "exec sh", 2), 400),
        (StartFailed("container x", "mount /proc", 1), 500),
        (ExceptionGroup("a nursery's", [NotFound("no such thing")]), 404),
        (ZeroDivisionError("unexpected"), 500),
    ],
)
async def test_an_error_is_an_answer_and_the_connection_lives(error: Exception, status: int) -> None:
    async def app(request: Request) -> Answer:
        if request.path == "/fail":
            raise error
        return empty()

    async with serving(app) as served, served.client() as client:
        await client.send(get("/fail") + get("/"))
        head, body = await client.answer()
        assert head.status == status and json.loads(body)["message"]
        assert (await client.answer())[0].status == 204


async def test_not_modified_has_no_body() -> None:
    async def app(request: Request) -> Answer:
        raise NotModified("already")

    async with serving(app) as served, served.client() as client:
        await client.send(get("/") + get("/"))
        assert [((await client.answer())[0].status) for _ in range(2)] == [304, 304]


async def test_pages_in_browsers_are_refused() -> None:
    async with serving(told) as served, served.client() as client:
        await client.send(get("/", "Origin: http://evil.example", method="POST") + get("/"))
        assert (await client.answer())[0].status == 403
        assert (await client.answer())[0].status == 200


async def test_more_connections_than_there_is_room_for_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    begun, go = trio.Event(), trio.Event()

    async def app(request: Request) -> Response:
        if request.path == "/slow":
            begun.set()
            await go.wait()
        return empty()

    async with serving(app) as served, served.client() as first:
        await first.send(get("/slow"))
        await begun.wait()
        async with served.client() as second:
            await second.send(get("/"))
            with trio.move_on_after(0.05) as waiting:
                await second.answer()
            assert waiting.cancelled_caught
            go.set()
            assert (await first.answer())[0].status == 204
            assert (await second.answer())[0].status == 204
