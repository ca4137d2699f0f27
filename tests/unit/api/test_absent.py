"""Routes that need no engine, over a real socket: what docker's clients ask of kinds that pysup does not have."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

import pytest
import trio

from pysup.supervisor.api.router import Route, Router
from pysup.supervisor.api.routes import ALL_ROUTES
from pysup.supervisor.api.server import serve
from pysup.supervisor.api.wire import Answer, Duplex, Hijacked, Request
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import NotFound

NO_ENGINE = cast("Engine", None)


@asynccontextmanager
async def serving(path: Path, *routes: Route) -> AsyncIterator[str]:
    """The server on a socket of its own, with these routes (default: all)."""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.bind(str(path / "s"))
        plain.listen()
        router = Router(routes or ALL_ROUTES)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(plain))
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, listener, partial(router.answer, NO_ENGINE))
            yield str(path / "s")
            nursery.cancel_scope.cancel()


async def ask(path: str, method: str, target: str, *headers: str) -> tuple[str, str, bytes]:
    """Status line, head and body of one answer."""
    async with await trio.open_unix_socket(path) as stream:
        lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
        await stream.send_all("\r\n".join(lines).encode())
        answer = b"".join([chunk async for chunk in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    status, _, rest = head.decode().partition("\r\n")
    return status, rest, body


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", '/networks?filters={"nope":["x"]}', 400),
        ("GET", "/plugins", 200),
        ("GET", "/plugins/nope/json", 404),
        ("GET", "/plugins/vendor/nope/json", 404),
        ("GET", "/nodes", 503),
        ("GET", "/services/x/logs", 503),
        ("POST", "/swarm/init", 503),
        ("POST", "/build?version=2", 501),
        ("POST", "/session", 501),
        ("POST", "/images/localhost:5000/a/B/push", 400),
        ("GET", "/images/search", 501),
        ("GET", "/v1.30/networks", 400),
        ("GET", "/v1.99/networks", 400),
        ("GET", "/nowhere", 404),
        ("PATCH", "/volumes", 405),
    ],
)
async def test_every_answer_is_clean_json(tmp_path: Path, method: str, target: str, status: int) -> None:
    async with serving(tmp_path) as path:
        line, _, body = await ask(path, method, target)
    assert line.split()[1] == str(status)
    value = json.loads(body)
    assert status == 200 or value["message"]


async def test_a_ping_tells_the_version_and_a_head_has_no_body(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        line, head, body = await ask(path, "GET", "/_ping")
        empty_line, empty_head, empty_body = await ask(path, "HEAD", "/_ping")
    assert line.split()[1] == empty_line.split()[1] == "200"
    assert (body, empty_body) == (b"OK", b"")
    for shown in (head, empty_head):
        names = [one.partition(":")[0].lower() for one in shown.split("\r\n")]
        assert {"api-version", "ostype", "docker-experimental", "server", "cache-control"} <= set(names)
        assert len(names) == len(set(names))
    assert "content-length: 0" in empty_head.lower()


def test_no_two_routes_are_the_same() -> None:
    pairs = [(route.method, route.pattern) for route in ALL_ROUTES]
    assert len(pairs) == len(set(pairs))


# -- hijacking -----------------------------------------------------------------------------------------------


async def echo(_engine: Engine, request: Request) -> Answer:
    """Send back what comes, and then that the client has closed its side."""

    async def run(duplex: Duplex) -> None:
        if request.query.flag("fail"):
            raise NotFound("cannot find it")
        await duplex.begin("text/odd")
        while data := await duplex.receive_some():
            await duplex.send_all(data)
        await duplex.send_all(b"!")

    return Hijacked(run)


ECHO = Route("POST", "/echo", echo)


@pytest.mark.parametrize(
    ("headers", "status"),
    [(("Connection: Upgrade", "Upgrade: tcp"), b"HTTP/1.1 101 UPGRADED"), ((), b"HTTP/1.1 200 OK")],
)
async def test_a_half_close_is_no_disconnect(tmp_path: Path, headers: tuple[str, ...], status: bytes) -> None:
    async with serving(tmp_path, ECHO) as path, await trio.open_unix_socket(path) as stream:
        lines = ["POST /echo HTTP/1.1", "Host: x", *headers, "", "early"]
        await stream.send_all("\r\n".join(lines).encode())
        await stream.send_all(b" late")
        await stream.send_eof()
        answer = b"".join([chunk async for chunk in stream])
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(status)
    assert b"Content-Type: text/odd" in head
    assert rest == b"early late!"


async def test_an_error_before_the_head_is_an_ordinary_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, ECHO) as path:
        line, _, body = await ask(path, "POST", "/echo?fail=1")
    assert line.split()[1] == "404"
    assert json.loads(body) == {"message": "cannot find it"}
