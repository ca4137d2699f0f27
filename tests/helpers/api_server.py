"""The API's server in front of a tiny app, and a client of raw bytes."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from pysup.supervisor.api import server
from pysup.supervisor.api.server import App
from pysup.supervisor.client.responses import Response

WITHIN = 20.0
"""Seconds after which a test has hung."""


class Client:
    """One connection, in bytes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._rest = b""

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self.stream.send_all(data)

    async def end(self) -> None:
        """Shut the writing side down: a half-close."""
        await self.stream.send_eof()

    async def receive(self) -> bytes:
        """What has come; b"" at the end."""
        return bytes(await self.stream.receive_some(1 << 16))

    async def exactly(self, count: int) -> bytes:
        """So many bytes behind the last answer."""
        while len(self._rest) < count:
            data = await self.receive()
            assert data, f"the connection ended after {self._rest!r}"
            self._rest += data
        found, self._rest = self._rest[:count], self._rest[count:]
        return found

    async def everything(self) -> bytes:
        """All bytes until the server closes."""
        found, self._rest = self._rest, b""
        while data := await self.receive():
            found += data
        return found

    async def answer(self, method: str = "GET") -> tuple[Response, bytes]:
        """The next answer and its body; what follows is kept for the next call."""
        response = await self.head(method)
        body = b"".join(response.feed(self._rest)) if self._rest else b""
        while not response.complete and not response.upgraded:
            body += b"".join(response.feed(await self.receive()))
        self._rest = response.rest
        return response, body

    async def head(self, method: str = "GET") -> Response:
        """The next answer's head alone."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self.exactly(1)
        response = Response(method)
        assert response.feed(data) == []
        return response


class Served:
    """A server that runs."""

    def __init__(self, path: Path, nursery: trio.Nursery) -> None:
        self._path = path
        self.nursery = nursery

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A connection; closed at the end."""
        async with await trio.open_unix_socket(str(self._path)) as stream:
            yield Client(stream)


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[Served]:
    """Serve an app at a socket of its own; everything ends with the block, within WITHIN seconds."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as plain:
        path = Path(directory, "s")
        plain.bind(str(path))
        plain.listen()
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(plain))
        with trio.fail_after(WITHIN):
            async with trio.open_nursery() as nursery:
                await nursery.start(server.serve, listener, app)
                yield Served(path, nursery)
                nursery.cancel_scope.cancel()
