"""Both transports against a daemon that answers, lies, resets and leaves."""

from __future__ import annotations

import _socket
import gc
import socket
from collections.abc import Awaitable, Callable

import anyio
import pytest
from helpers.played_daemon import Scene, playing

from pysup.supervisor.client.aio import Pysup
from pysup.supervisor.client.aio_streams import Attached
from pysup.supervisor.client.responses import Lost, ProtocolError
from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import BadRequest, Conflict, NotFound, PysupError, Unavailable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{} "
CODE = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"StatusCode":3}'
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"
EVENT = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"a":1}\n\r\n'
OUTPUT = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: application/vnd.docker.multiplexed-stream\r\n\r\n"
    b"b\r\n\1\0\0\0\0\0\0\3one\r\nb\r\n\2\0\0\0\0\0\0\3two\r\n"
)
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
ENDINGS = pytest.mark.parametrize(
    "scene",
    [Scene(b""), Scene(b"", "reset"), Scene(b"HTTP/1.1 2"), Scene(HALF), Scene(HALF, "reset")],
    ids=["nothing", "reset", "half a head", "half a body", "reset in the body"],
)


def run(backend: str, body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        with anyio.fail_after(60):
            await body()

    anyio.run(main, backend=backend)


# -- sync ----------------------------------------------------------------------------------------------------


@ENDINGS
def test_a_daemon_that_leaves_is_lost(scene: Scene) -> None:
    with playing(scene) as (address, _), pytest.raises(Lost, match="it closed the connection"):
        Client(address).get("/info")
    gc.collect()  # a socket that leaks is a ResourceWarning, and that an error


@pytest.mark.parametrize("answer", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_http_leaks_no_socket(answer: bytes) -> None:
    with playing(Scene(answer, "stay")) as (address, played):
        with pytest.raises(ProtocolError):
            Client(address).get("/info")
        assert played.left.wait(10)
    gc.collect()


@ENDINGS
def test_a_stream_that_is_broken_off_is_lost(scene: Scene) -> None:
    with playing(scene) as (address, _), pytest.raises(Lost):
        list(Client(address).stream_json("GET", "/events"))


def test_a_stream_that_is_left_is_closed() -> None:
    with playing(Scene(EVENT, "stay"), Scene(OUTPUT, "stay")) as (address, played):
        for event in Client(address).stream_json("GET", "/events"):
            assert event == {"a": 1}
            break
        assert played.left.wait(10)
        with Client(address).stream("GET", "/x") as output:
            assert next(iter(output)) == (1, b"one")


def test_a_connection_is_kept_and_a_dead_one_is_not_used_again() -> None:
    with playing(Scene(CODE), Scene(CODE)) as (address, played):
        client = Client(address)
        assert client.post("/a") == {"StatusCode": 3}
        assert client._kept is not None and client._kept.recv(1, socket.MSG_PEEK) == b""  # its end has come
        assert client.post("/b") == {"StatusCode": 3}
        client.close()
    assert [request.split()[1] for request in played.requests] == [b"/v1.47/a", b"/v1.47/b"]


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    for bad in (address, "/no/such/socket", "unix:///" + "x" * 200, "tcp://no-such-host.invalid:1"):
        with pytest.raises(Unavailable, match="cannot connect to the daemon at"):
            Client(bad).get("/info")


def test_a_platform_without_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_socket, "AF_UNIX")
    monkeypatch.delattr(_socket, "MSG_DONTWAIT")
    with pytest.raises(Unavailable, match="this platform has no unix sockets; name one by tcp://"):
        Client("/run/x.sock").get("/info")
    with playing(Scene(CODE, "stay")) as (address, _):
        client = Client(address)
        assert client.post("/a") == {"StatusCode": 3}
        assert client._kept is not None
        client.close()


def test_an_upload_that_is_refused_tells_why() -> None:
    refusal = b'HTTP/1.1 409 \r\nContent-Length: 17\r\n\r\n{"message": "no"}'
    with playing(Scene(refusal, "stay")) as (address, _), pytest.raises(Conflict, match="no"):
        list(Client(address).stream_json("POST", "/images/create", body=[b"data"]))


async def flood(streams: Attached) -> None:
    while True:
        await streams.send(b"x" * 65536)


# -- anyio ---------------------------------------------------------------------------------------------------


@BACKENDS
@ENDINGS
def test_a_daemon_that_leaves_is_unavailable(backend: str, scene: Scene) -> None:
    async def body() -> None:
        with pytest.raises(Unavailable, match="it closed the connection"):
            await Pysup(address).info()

    with playing(scene) as (address, _):
        run(backend, body)


@BACKENDS
@ENDINGS
def test_streams_that_break_off_are_unavailable(backend: str, scene: Scene) -> None:
    async def body() -> None:
        with pytest.raises(Unavailable):
            async for _ in Pysup(address).events():
                pass

    with playing(scene) as (address, _):
        run(backend, body)


@BACKENDS
def test_leaving_early_closes_the_connection(backend: str) -> None:
    async def body() -> None:
        pysup = Pysup(address)
        async with pysup.events() as events:
            async for event in events:
                assert event == {"a": 1}
                break
        assert await anyio.to_thread.run_sync(played.left.wait, 10)
        played.left.clear()
        async with pysup.logs("web", follow=True) as lines:
            assert [await anext(lines), await anext(lines)] == [(1, b"one"), (2, b"two")]
        assert await anyio.to_thread.run_sync(played.left.wait, 10)
        with pytest.raises(StopAsyncIteration):
            await anext(lines)
        played.left.clear()
        with anyio.CancelScope() as scope:
            async for _ in pysup.events():
                scope.cancel()  # while the next one is waited for
        assert await anyio.to_thread.run_sync(played.left.wait, 10)

    with playing(Scene(EVENT, "stay"), Scene(OUTPUT, "stay"), Scene(EVENT, "stay")) as (address, played):
        run(backend, body)


@BACKENDS
def test_an_error_answer_closes_and_is_its_class(backend: str) -> None:
    async def body() -> None:
        with pytest.raises(NotFound, match="gone"):
            async for _ in Pysup(address).logs("web"):
                pass
        assert await anyio.to_thread.run_sync(played.left.wait, 10)

    answer = b'HTTP/1.1 404 \r\nContent-Length: 18\r\n\r\n{"message":"gone"}'
    with playing(Scene(answer, "stay")) as (address, played):
        run(backend, body)


@BACKENDS
def test_an_attached_stream_that_breaks_is_unavailable(backend: str) -> None:
    async def body() -> None:
        async with Pysup(address).attach("web") as streams:
            with pytest.raises(Unavailable):
                await flood(streams)

    with playing(Scene(b"HTTP/1.1 101 UPGRADED\r\n\r\n", "reset")) as (address, _):
        run(backend, body)


@BACKENDS
def test_what_is_sent(backend: str) -> None:
    async def body() -> None:
        pysup = Pysup(address)
        await pysup.stop("web", seconds=10.0)
        await pysup.stop("web", seconds=0.2)
        await pysup.remove("a/b?c#d", force=True)
        await pysup.history("../x")
        with pytest.raises(NotFound):
            await pysup.inspect("")
        with pytest.raises(BadRequest, match="not UTF-8"):
            await pysup.create("host", ["\udcff"])

    with playing(*[Scene(OK)] * 4) as (address, played):
        run(backend, body)
    assert [request.split(b"\r\n")[0] for request in played.requests] == [
        b"POST /v1.47/containers/web/stop?t=10 HTTP/1.1",
        b"POST /v1.47/containers/web/stop?t=1 HTTP/1.1",
        b"DELETE /v1.47/containers/a%2Fb%3Fc%23d?force=1 HTTP/1.1",
        b"GET /v1.47/pysup/containers/..%2Fx/history HTTP/1.1",
    ]


def test_an_address_that_is_none_is_one_error(capfd: pytest.CaptureFixture[str]) -> None:
    """The client that could not be made says nothing when it goes."""
    with pytest.raises(PysupError, match="cannot connect"):
        Client("nothing://here")
    gc.collect()
    assert capfd.readouterr() == ("", "")
