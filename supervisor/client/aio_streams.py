"""The anyio transport below aio.py: one connection with its answer, and what comes over it piece by piece."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import SocketStream

from pysup.supervisor.client import core
from pysup.supervisor.client.frames import Frames
from pysup.supervisor.client.responses import NOT_MODIFIED, Lost, Response

T = TypeVar("T")


class Opened:
    """One connection, its request sent: a response whose body is still to come. Close it."""

    def __init__(self, stream: SocketStream) -> None:
        self.response = Response()
        self._stream = stream
        self._early: deque[bytes] = deque()

    async def __aenter__(self) -> Opened:
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection, also while cancelled."""
        await anyio.aclose_forcefully(self._stream)

    async def send(self, data: bytes) -> None:
        """Send to the daemon. Raises Lost."""
        with _told():
            await self._stream.send(data)

    async def send_eof(self) -> None:
        """Nothing more is sent; more may come. Raises Lost."""
        with _told():
            await self._stream.send_eof()

    async def receive(self) -> bytes:
        """What has come; b"" at the end. Raises Lost."""
        with _told():
            try:
                return await self._stream.receive()
            except anyio.EndOfStream:
                return b""

    async def read_head(self) -> None:
        """Wait for the head. Raises what an error answer tells of."""
        while not self.response.status:
            self._early += self.response.feed(await self.receive())
        if self.response.status >= 300 and self.response.status != NOT_MODIFIED:  # noqa: PLR2004 - no success
            raise core.error_of(self.response.status, await self.whole())

    async def piece(self) -> bytes | None:
        """The next piece of the body; None at its end."""
        while not self._early:
            if self.response.complete:
                return None
            self._early += self.response.feed(await self.receive())
        return self._early.popleft()

    async def whole(self) -> bytes:
        """The body, or what is left of it."""
        content = bytearray()
        while (piece := await self.piece()) is not None:
            content += piece
        return bytes(content)

    def frames(self) -> Frames:
        """What takes the body apart."""
        return Frames(self.response.headers.get("content-type", ""))


@contextmanager
def _told() -> Iterator[None]:
    """A connection that breaks is the daemon's end of it."""
    try:
        yield
    except (OSError, anyio.BrokenResourceError):
        raise Lost from None


class Streaming(Generic[T]):
    """What the daemon sends, as it comes: asked for when the iteration begins, closed when it ends.

    Leave it early inside ``async with``: then the connection is closed at once, and the daemon knows.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[Opened]],
        parser: Callable[[Opened], Callable[[bytes], Iterable[T]]],
    ) -> None:
        self._begin = begin
        self._parser = parser
        self._opened: Opened | None = None
        self._parse: Callable[[bytes], Iterable[T]] | None = None
        self._ready: deque[T] = deque()
        self._over = False

    async def __aenter__(self) -> Streaming[T]:
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Read no more."""
        self._over = True
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    def __aiter__(self) -> Streaming[T]:
        return self

    async def __anext__(self) -> T:
        try:
            while not self._ready:
                await self._read()
        except BaseException:
            await self.aclose()
            raise
        return self._ready.popleft()

    async def _read(self) -> None:
        if self._over:
            raise StopAsyncIteration
        if self._opened is None or self._parse is None:
            self._opened = await self._begin()
            self._parse = self._parser(self._opened)
        piece = await self._opened.piece()
        if piece is None:
            raise StopAsyncIteration
        self._ready += self._parse(piece)


class JsonLines:
    """Documents, one a line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Any]:
        """The documents that are complete now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in whole if line.strip()]


class Attached:
    """The streams of a process. Iterate for its output, (1 stdout | 2 stderr, bytes), until it has ended.

    Raises Lost where the output was broken off, as far as the daemon tells its end (docker's does not).
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._frames = opened.frames()
        self._ready = deque(self._frames.feed(opened.response.rest))

    def __aiter__(self) -> AsyncIterator[tuple[int, bytes]]:
        return self

    async def __anext__(self) -> tuple[int, bytes]:
        while not self._ready:
            data = await self._opened.receive()
            if not data:
                raise StopAsyncIteration if self._frames.ended else Lost
            self._ready += self._frames.feed(data)
        return self._ready.popleft()

    @property
    def end(self) -> Any:  # noqa: ANN401 - JSON
        """At the end: the document about it; None if there is none."""
        return core.document_of(self._frames.end)

    async def send(self, data: bytes) -> None:
        """Write to the process's stdin. Raises Unavailable."""
        await self._opened.send(data)

    async def send_eof(self) -> None:
        """No more input; output still comes."""
        await self._opened.send_eof()
