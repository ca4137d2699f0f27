"""The boundary of HTTP: whatever bytes come, the server answers or closes, says nothing of it, and serves on."""

from __future__ import annotations

import logging
from contextlib import suppress
from itertools import pairwise

import trio
from helpers.api_server import serving
from hypothesis import given, settings
from hypothesis import strategies as st

from pysup.supervisor.api.wire import Answer, Duplex, Hijacked, Request, Sink, Streamed, empty, json_response
from pysup.supervisor.client.responses import ProtocolError, Response

PIECES = st.sampled_from(
    [
        *(b"GET ", b"POST ", b"HEAD ", b"CONNECT ", b"PRI ", b"get ", b"OPTIONS * "),
        *(
            b"/json",
            b"/stream",
            b"/hijack",
            b"/v1.47/left",
            b"/v9.9/x",
            b"/%00?a=%ff",
            b"*",
            b"//",
            b"/\xff",
            b"?",
        ),
        *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/2.0\r\n", b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t"),
        *(
            b"Host: x\r\n",
            b"Host:\r\n",
            b"Content-Length: 2\r\n",
            b"Content-Length: 99\r\n",
            b"Content-Length: -1\r\n",
        ),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: x\r\n",
            b"Content-Type: application/json\r\n",
        ),
        *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: tcp\r\n"),
        *(b"{}", b'"\\ud800"', b"2\r\n{}\r\n", b"0\r\n\r\n", b"fffffffff\r\n", b"zz\r\n", b"\r\n\r\n"),
        b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /hijack HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
)
STREAMS = st.lists(PIECES | st.binary(max_size=9), max_size=14).map(b"".join)


async def app(request: Request) -> Answer:
    """Each kind of answer."""
    if request.path.startswith("/json"):
        return json_response(await request.json())
    if request.path.startswith("/hijack"):

        async def echo(duplex: Duplex) -> None:
            await duplex.begin("application/x")
            while data := await duplex.receive_some():
                await duplex.send_all(data)

        return Hijacked(echo)
    if request.path.startswith("/stream"):

        async def write(sink: Sink) -> None:
            async for chunk in request.chunks():
                await sink.send(chunk)

        return Streamed(write)
    return empty()


def statuses(found: bytes) -> list[int]:
    """Of the answers that came, one after the other; a hijacked connection's bytes are nobody's answer."""
    seen = []
    while found:
        response = Response()
        response.feed(found)
        if not response.status:
            raise ProtocolError(f"no whole head: {found!r}")
        seen.append(response.status)
        if response.upgraded:
            break
        found = response.rest if response.complete else b""
    return seen


class Complaints(logging.Handler):
    """What the server logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


async def exchange(data: bytes, cuts: list[int]) -> list[int]:
    complaints = Complaints()
    logging.getLogger("pysup").addHandler(complaints)
    try:
        async with serving(app) as served:
            async with served.client() as client:
                edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
                with suppress(trio.BrokenResourceError, OSError):  # refused, and no more is taken
                    for begin, end in pairwise(edges):
                        await client.send(data[begin:end])
                    await client.end()
                found = await client.everything()
            async with served.client() as other:
                await other.send(b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await other.answer())[0].status == 204
    finally:
        logging.getLogger("pysup").removeHandler(complaints)
    assert complaints.told == []
    return statuses(found)


@given(STREAMS, st.lists(st.integers(0, 500), max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_answered_or_refused(data: bytes, cuts: list[int]) -> None:
    for status in trio.run(exchange, data, cuts):
        assert status < 500 or status == 501


def test_answers_are_told_apart() -> None:
    assert statuses(b"HTTP/1.1 204 \r\n\r\nHTTP/1.1 400 \r\nContent-Length: 0\r\n\r\n") == [204, 400]
